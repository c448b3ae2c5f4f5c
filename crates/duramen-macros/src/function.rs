//! `#[orchestrator]` and `#[activity]`.

use crate::options::{self, error};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, Ident, ItemFn, LitStr, Result, ReturnType, Signature, Type};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Orchestrator,
    Activity,
}

impl Kind {
    fn context(self) -> &'static str {
        match self {
            Self::Orchestrator => "OrchestrationContext",
            Self::Activity => "ActivityContext",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Activity => "activity",
        }
    }
}

pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let name = options::name(options)?;
    let function: ItemFn =
        syn::parse2(item.clone()).map_err(|_| error(&item, &format!("#[{}] stands on an `async fn`", kind.word())))?;
    if let Some(receiver) = function.sig.receiver() {
        return Err(error(receiver, "this takes `self`: put #[activities] on its `impl` instead"));
    }
    let parts = Parts::of(kind, &function.sig)?;
    let token = options::pascal(&function.sig.ident)?;
    let name = name.unwrap_or_else(|| LitStr::new(&token.to_string(), token.span()));
    let visibility = &function.vis;
    let documentation = format!("The {} `{}`, to be called and registered.", kind.word(), function.sig.ident);
    let declared = declare(kind, &quote!(#token), &name, &parts);
    let invoke = invoke(kind, &token, &function.sig.ident, &parts);
    Ok(quote! {
        #function

        #[doc = #documentation]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #token;
        #declared
        #invoke
    })
}

/// The types of a function that may be an orchestrator or an activity.
pub(crate) struct Parts {
    pub(crate) input: Type,
    pub(crate) returned: Type,
}

impl Parts {
    pub(crate) fn of(kind: Kind, signature: &Signature) -> Result<Self> {
        let word = kind.word();
        if signature.asyncness.is_none() {
            return Err(error(&signature.fn_token, &format!("an {word} is an `async fn`")));
        }
        if !signature.generics.params.is_empty() {
            return Err(error(
                &signature.generics,
                &format!("an {word} has one name and one type of input: it cannot be generic"),
            ));
        }
        let mut arguments = signature.inputs.iter().filter_map(|argument| match argument {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        let shape =
            format!("an {word} takes two arguments: `ctx: {}` and its input; without one, `_: ()`", kind.context());
        let (Some(context), Some(input), None) = (arguments.next(), arguments.next(), arguments.next()) else {
            return Err(error(&signature.inputs, &shape).with_fallback(signature, &shape));
        };
        if !ends_with(&context.ty, kind.context()) {
            return Err(error(&context.ty, &format!("the first argument of an {word} is `ctx: {}`", kind.context())));
        }
        if matches!(*input.ty, Type::Reference(_)) {
            return Err(error(
                &input.ty,
                "an input is read from JSON and cannot be borrowed: take `String` instead of `&str`",
            ));
        }
        let ReturnType::Type(_, returned) = &signature.output else {
            return Err(error(
                &signature.ident,
                &format!("an {word} returns a `Result`; without a value, `Result<()>`"),
            ));
        };
        Ok(Self { input: (*input.ty).clone(), returned: (**returned).clone() })
    }
}

trait WithFallback {
    fn with_fallback(self, signature: &Signature, message: &str) -> Self;
}

impl WithFallback for syn::Error {
    /// An empty list of arguments has no place of its own.
    fn with_fallback(self, signature: &Signature, message: &str) -> Self {
        if signature.inputs.is_empty() { error(&signature.ident, message) } else { self }
    }
}

fn ends_with(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// The traits that make a token callable.
pub(crate) fn declare(kind: Kind, token: &TokenStream, name: &LitStr, parts: &Parts) -> TokenStream {
    let Parts { input, returned } = parts;
    let callee = match kind {
        Kind::Orchestrator => quote!(OrchestratorCallee),
        Kind::Activity => quote!(ActivityCallee),
    };
    let output = quote!(<#returned as ::duramen::__private::Returned>::Output);
    let (generics, taken, encode) = if options::is_string(input) {
        (quote!(<I: ::core::convert::Into<#input>>), quote!(I), quote!(&::core::convert::Into::<#input>::into(input)))
    } else {
        (quote!(), quote!(#input), quote!(&input))
    };
    quote! {
        impl ::duramen::Token for #token {
            const NAME: &'static str = #name;
            type Input = #input;
            type Output = #output;
        }

        impl #generics ::duramen::#callee<#taken, #output> for #token {
            fn name(&self) -> &str {
                <Self as ::duramen::Token>::NAME
            }

            fn encode(&self, input: #taken) -> ::core::result::Result<::std::string::String, ::duramen::__private::JsonError> {
                ::duramen::__private::encode(#encode)
            }
        }
    }
}

fn invoke(kind: Kind, token: &Ident, function: &Ident, parts: &Parts) -> TokenStream {
    let (author_trait, context, future) = match kind {
        Kind::Orchestrator => (quote!(Orchestrator), quote!(OrchestrationContext), quote!(LocalBoxFuture)),
        Kind::Activity => (quote!(Activity), quote!(ActivityContext), quote!(BoxFuture)),
    };
    let body = body(kind, &quote!(<#token as ::duramen::Token>::NAME), &quote!(#function(ctx, input)), parts);
    quote! {
        impl ::duramen::#author_trait for #token {
            fn invoke(
                ctx: ::duramen::#context,
                input: ::core::option::Option<::std::string::String>,
            ) -> ::duramen::__private::#future<'static, ::core::result::Result<::std::string::String, ::duramen::Error>> {
                ::std::boxed::Box::pin(async move { #body })
            }
        }
    }
}

/// Reads the input, runs, writes the output.
pub(crate) fn body(kind: Kind, name: &TokenStream, call: &TokenStream, parts: &Parts) -> TokenStream {
    let word = kind.word();
    let input = &parts.input;
    quote! {
        use ::duramen::__private::fail::{FailPlain as _, FailWhole as _};
        let input: #input = ::duramen::__private::read(#word, #name, input.as_deref())?;
        match ::duramen::__private::Returned::into_result(#call.await) {
            ::core::result::Result::Ok(output) => ::duramen::__private::write(&output),
            ::core::result::Result::Err(error) => {
                ::core::result::Result::Err((&::duramen::__private::fail::Failing::new(error)).fail())
            }
        }
    }
}
