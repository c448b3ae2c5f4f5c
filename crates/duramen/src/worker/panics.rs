//! Panics of author code become failures, with their message and place.

use crate::failure;
use duramen_proto::TaskFailureDetails;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IN_AUTHOR_CODE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics of author code silent, since their failure says the same; all others go the way they
/// went. A panic's place is known to the hook alone.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if IN_AUTHOR_CODE.get() {
                PLACE.set(panic.location().map(ToString::to_string));
            } else {
                before(panic);
            }
        }));
    });
}

/// Runs author code.
pub(crate) fn guard<R>(code: impl FnOnce() -> R) -> Result<R, Box<TaskFailureDetails>> {
    let outer = IN_AUTHOR_CODE.replace(true);
    // What the code leaves half done is its own future and context, which are dropped after this.
    let result = catch_unwind(AssertUnwindSafe(code));
    IN_AUTHOR_CODE.set(outer);
    result.map_err(|payload| Box::new(details(&*payload)))
}

fn details(payload: &(dyn Any + Send)) -> TaskFailureDetails {
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => *text,
        (None, Some(text)) => text,
        (None, None) => "a panic without a text",
    };
    let place = PLACE.take().map_or_else(String::new, |place| format!(" at {place}"));
    let hint = if message.contains("Tokio 1.x runtime") {
        "; orchestrators run outside of any runtime: use ctx.create_timer instead of a sleep, and an activity for \
         sockets, files and tasks"
    } else {
        ""
    };
    failure::details("Panic", format!("panicked{place}: {message}{hint}"))
}
