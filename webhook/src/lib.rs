//! The admission webhook: the compiler's judgement when an object is applied, instead of in its status afterwards.
//!
//! Data flow one way: the operator's watches fill its stores; a [`review`] is read into a question, [`neighbours`]
//! gathers what it is judged against, [`judge`] compiles and decides, and the answer goes back. Nothing is written for
//! a review. Beside that, [`keeper`] holds the certificate under which this is served: what is to be done about it is
//! decided in [`certificate`].
//!
//! The operator judges again in any case: whatever passes here, because it came in an order in which it could not be
//! judged or while no webhook ran, shows in the object's conditions.

pub mod app;
pub mod certificate;
pub mod connections;
pub mod fresh;
pub mod http;
pub mod impatient;
pub mod judge;
pub mod keeper;
pub mod metrics;
pub mod neighbours;
pub mod review;
pub mod reviewer;
pub mod settings;
pub mod tls;
