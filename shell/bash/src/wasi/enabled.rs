//! The backend without processes.

pub(crate) use sbx_wasi::{Sandbox, Session};
