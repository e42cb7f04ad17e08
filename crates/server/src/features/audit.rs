//! Reading the record over HTTP. Writing it is everybody's; there is no call that edits it.

pub mod http;
pub mod retention;
pub mod sink;
