pub mod domain;
pub mod source;
