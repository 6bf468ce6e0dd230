pub mod domain;
pub mod template;
