//! `#[activities]` on an `impl`.

use crate::function::{self, Kind, Parts};
use crate::options::{self, error};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, ImplItem, ImplItemFn, ItemImpl, LitStr, Meta, Result, Type, Visibility};

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !options.is_empty() {
        return Err(error(
            &options,
            "#[activities] has no options; give a method a name with #[activity(name = \"...\")]",
        ));
    }
    let mut block: ItemImpl =
        syn::parse2(item.clone()).map_err(|_| error(&item, "#[activities] stands on an `impl` of a type"))?;
    if let Some((_, path, _)) = &block.trait_ {
        return Err(error(path, "#[activities] stands on an `impl` of a type, not of a trait"));
    }
    if !block.generics.params.is_empty() {
        return Err(error(&block.generics, "activities are registered by name: their type cannot be generic"));
    }
    let owner = block.self_ty.clone();
    let Type::Path(path) = &*owner else {
        return Err(error(&owner, "#[activities] stands on an `impl` of a named type"));
    };
    let Some(last) = path.path.segments.last() else {
        return Err(error(&owner, "#[activities] stands on an `impl` of a named type"));
    };
    let module = options::snake(&last.ident.to_string(), last.ident.span());

    let (mut tokens, mut declared, mut registered, mut is_public) = (Vec::new(), Vec::new(), Vec::new(), false);
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let name = take_name(&mut method.attrs)?;
        if method.sig.asyncness.is_none() {
            if name.is_some() {
                return Err(error(&method.sig.fn_token, "an activity is an `async fn`"));
            }
            continue;
        }
        is_public |= matches!(method.vis, Visibility::Public(_));
        let activity = activity(method, name.flatten(), &module)?;
        tokens.push(activity.token);
        declared.push(activity.declared);
        registered.push(activity.registered);
    }
    if registered.is_empty() {
        return Err(error(&owner, "there is no `async fn` here that could be an activity"));
    }
    let visibility = if is_public { quote!(pub) } else { quote!() };
    let documentation = format!("The activities of `{}`, to be called.", last.ident);
    Ok(quote! {
        #block

        #[doc = #documentation]
        #visibility mod #module {
            #(#tokens)*
        }

        #(#declared)*

        impl ::duramen::Activities for #owner {
            fn register(self: ::std::sync::Arc<Self>, app: ::duramen::App) -> ::duramen::App {
                #(#registered)*
                app
            }
        }
    })
}

/// Takes `#[activity]` or `#[activity(name = "...")]` off a method: whether it is there, and the name.
fn take_name(attributes: &mut Vec<Attribute>) -> Result<Option<Option<LitStr>>> {
    let Some(at) = attributes
        .iter()
        .position(|attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "activity"))
    else {
        return Ok(None);
    };
    match attributes.remove(at).meta {
        Meta::List(list) => Ok(Some(options::name(list.tokens)?)),
        Meta::Path(_) => Ok(Some(None)),
        Meta::NameValue(value) => Err(error(&value, "write #[activity(name = \"...\")]")),
    }
}

/// What one method adds.
struct Expanded {
    token: TokenStream,
    declared: TokenStream,
    registered: TokenStream,
}

fn activity(method: &ImplItemFn, name: Option<LitStr>, module: &syn::Ident) -> Result<Expanded> {
    let signature = &method.sig;
    let by_reference =
        signature.receiver().is_some_and(|receiver| receiver.reference.is_some() && receiver.mutability.is_none());
    if !by_reference {
        return Err(error(&signature.ident, "an activity of an `impl` takes `&self`, since many run at a time"));
    }
    let parts = Parts::of(Kind::Activity, signature)?;
    let token = options::pascal(&signature.ident)?;
    let name = name.unwrap_or_else(|| LitStr::new(&token.to_string(), token.span()));
    let visibility = match &method.vis {
        Visibility::Public(public) => quote!(#public),
        _ => quote!(pub(super)),
    };
    let documentation = format!("The activity `{}`, to be called.", signature.ident);
    let declared = function::declare(Kind::Activity, &quote!(#module::#token), &name, &parts);
    let function = &signature.ident;
    let body = function::body(Kind::Activity, &quote!(#name), &quote!(value.#function(ctx, input)), &parts);
    let token_struct = quote! {
        #[doc = #documentation]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #token;
    };
    let registered = quote! {
        let app = {
            let value = ::std::sync::Arc::clone(&self);
            app.activity_fn(<#module::#token as ::duramen::Token>::NAME, move |ctx, input| {
                let value = ::std::sync::Arc::clone(&value);
                ::std::boxed::Box::pin(async move { #body })
            })
        };
    };
    Ok(Expanded { token: token_struct, declared, registered })
}
