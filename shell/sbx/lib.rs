//! sbx
