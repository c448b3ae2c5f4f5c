//! What stands in the parentheses of an attribute, and names.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Error, Ident, LitStr, Result};

/// `name = "..."`, or nothing.
pub(crate) fn name(options: TokenStream) -> Result<Option<LitStr>> {
    let mut name = None;
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("name") {
            let value: LitStr = meta.value()?.parse()?;
            if value.value().is_empty() {
                return Err(Error::new(value.span(), "the name may not be empty"));
            }
            name = Some(value);
            Ok(())
        } else {
            Err(meta.error("the only option is `name = \"...\"`"))
        }
    });
    parser.parse2(options)?;
    Ok(name)
}

/// `say_hello` as `SayHello`.
pub(crate) fn pascal(ident: &Ident) -> Result<Ident> {
    let text = ident.to_string();
    let text = text.strip_prefix("r#").unwrap_or(&text);
    let mut pascal = String::new();
    for word in text.split('_') {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            pascal.extend(first.to_uppercase());
            pascal.push_str(letters.as_str());
        }
    }
    if pascal.is_empty() || pascal == text {
        let problem = format!("`{text}` gives no name for its token that differs from its own; use snake_case");
        return Err(Error::new(ident.span(), problem));
    }
    Ok(Ident::new(&pascal, ident.span()))
}

/// `PaymentService` as `payment_service`.
pub(crate) fn snake(text: &str, span: Span) -> Ident {
    let mut snake = String::new();
    let mut after_lower = false;
    for letter in text.chars() {
        if letter.is_uppercase() && after_lower {
            snake.push('_');
        }
        after_lower = !letter.is_uppercase();
        snake.extend(letter.to_lowercase());
    }
    Ident::new(&snake, span)
}

/// Whether a type is `String` as people write it. Such inputs take whatever converts into one.
pub(crate) fn is_string(ty: &syn::Type) -> bool {
    let syn::Type::Path(path) = ty else { return false };
    let text: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let bare = path.path.segments.iter().all(|segment| segment.arguments.is_empty());
    path.qself.is_none()
        && bare
        && matches!(text.join("::").as_str(), "String" | "std::string::String" | "alloc::string::String")
}

pub(crate) fn error(at: &impl Spanned, message: &str) -> Error {
    Error::new(at.span(), message)
}
