//! Each misuse has an error that says what to write instead.

use crate::function::{self, Kind};
use crate::{activities, options};
use proc_macro2::{Span, TokenStream};
use quote::quote;

fn activity(item: TokenStream) -> String {
    said(function::expand(Kind::Activity, quote!(), item))
}

fn orchestrator(item: TokenStream) -> String {
    said(function::expand(Kind::Orchestrator, quote!(), item))
}

fn said(expanded: syn::Result<TokenStream>) -> String {
    expanded.expect_err("this is a misuse").to_string()
}

#[test]
fn what_is_no_async_function() {
    assert_eq!(
        activity(quote!(
            struct A;
        )),
        "#[activity] stands on an `async fn`"
    );
    assert_eq!(
        activity(quote!(
            fn a(ctx: ActivityContext, _: ()) -> Result<()> {
                Ok(())
            }
        )),
        "an activity is an `async fn`"
    );
}

#[test]
fn methods() {
    let said = activity(quote!(
        async fn a(&self, ctx: ActivityContext, _: ()) -> Result<()> {
            Ok(())
        }
    ));
    assert_eq!(said, "this takes `self`: put #[activities] on its `impl` instead");
}

#[test]
fn generics() {
    let said = activity(quote!(
        async fn a<T>(ctx: ActivityContext, t: T) -> Result<()> {
            Ok(())
        }
    ));
    assert_eq!(said, "an activity has one name and one type of input: it cannot be generic");
}

#[test]
fn arguments() {
    let shape = "an orchestrator takes two arguments: `ctx: OrchestrationContext` and its input; without one, `_: ()`";
    assert_eq!(
        orchestrator(quote!(
            async fn a() -> Result<()> {
                Ok(())
            }
        )),
        shape
    );
    assert_eq!(
        orchestrator(quote!(
            async fn a(ctx: OrchestrationContext) -> Result<()> {
                Ok(())
            }
        )),
        shape
    );
    let three = quote!(
        async fn a(ctx: OrchestrationContext, a: u8, b: u8) -> Result<()> {
            Ok(())
        }
    );
    assert_eq!(orchestrator(three), shape);
    let mixed_up = quote!(
        async fn a(ctx: ActivityContext, _: ()) -> Result<()> {
            Ok(())
        }
    );
    assert_eq!(orchestrator(mixed_up), "the first argument of an orchestrator is `ctx: OrchestrationContext`");
    let borrowed = quote!(
        async fn a(ctx: duramen::ActivityContext, name: &str) -> Result<()> {
            Ok(())
        }
    );
    assert!(activity(borrowed).contains("take `String` instead of `&str`"));
}

#[test]
fn results() {
    let nothing = quote!(
        async fn a(ctx: ActivityContext, _: ()) {}
    );
    assert_eq!(activity(nothing), "an activity returns a `Result`; without a value, `Result<()>`");
}

#[test]
fn names() {
    let shouting = quote!(
        async fn SayHello(ctx: ActivityContext, _: ()) -> Result<()> {
            Ok(())
        }
    );
    assert!(activity(shouting).contains("use snake_case"));
    let function = quote!(
        async fn a(ctx: ActivityContext, _: ()) -> Result<()> {
            Ok(())
        }
    );
    let with = |options| function::expand(Kind::Activity, options, function.clone());
    assert_eq!(said(with(quote!(name = ""))), "the name may not be empty");
    assert_eq!(said(with(quote!(nom = "x"))), "the only option is `name = \"...\"`");
    assert!(with(quote!(name = "x")).unwrap().to_string().contains("const NAME : & 'static str = \"x\""));
    assert_eq!(options::snake("HTTPClient2", Span::call_site()).to_string(), "httpclient2");
    assert_eq!(options::snake("PaymentService", Span::call_site()).to_string(), "payment_service");
    assert_eq!(options::pascal(&syn::parse_quote!(say_hello_2)).unwrap().to_string(), "SayHello2");
}

#[test]
fn the_function_stays_as_it_is() {
    let function = quote!(
        #[doc = "x"]
        pub async fn a(ctx: ActivityContext, _: ()) -> Result<()> {
            Ok(())
        }
    );
    let expanded = function::expand(Kind::Activity, quote!(), function.clone()).unwrap().to_string();
    assert!(expanded.starts_with(&function.to_string()), "{expanded}");
    assert!(expanded.contains("pub struct A ;"), "{expanded}");
}

#[test]
fn impls() {
    let on = |item| said(activities::expand(quote!(), item));
    assert_eq!(
        on(quote!(
            fn a() {}
        )),
        "#[activities] stands on an `impl` of a type"
    );
    assert_eq!(on(quote!(impl Tr for A {})), "#[activities] stands on an `impl` of a type, not of a trait");
    assert!(
        on(quote!(
            impl<T> A<T> {}
        ))
        .contains("cannot be generic")
    );
    assert_eq!(on(quote!(impl A { fn a(&self) {} })), "there is no `async fn` here that could be an activity");
    let exclusive = quote!(impl A { async fn a(&mut self, ctx: ActivityContext, _: ()) -> Result<()> { Ok(()) } });
    assert!(on(exclusive).contains("takes `&self`"));
    let unbound = quote!(impl A { async fn a(ctx: ActivityContext, _: ()) -> Result<()> { Ok(()) } });
    assert!(on(unbound).contains("takes `&self`"));
    let blocking = quote!(impl A { #[activity] fn a(&self, ctx: ActivityContext, _: ()) -> Result<()> { Ok(()) } });
    assert_eq!(on(blocking), "an activity is an `async fn`");
    assert!(said(activities::expand(quote!(x), quote!(impl A {}))).contains("has no options"));
}
