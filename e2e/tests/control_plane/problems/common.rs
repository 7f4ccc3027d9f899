//! What the compiler's cases of problems are written with. Pure.

#[path = "../../../../compiler/tests/common/case.rs"]
mod case;
#[path = "../../../../compiler/tests/common/small.rs"]
pub mod small;

pub use self::case::{Case, case};
