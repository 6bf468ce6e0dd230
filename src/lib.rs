pub mod domain;
pub mod channel {
    pub mod settings;
}
pub mod config;
