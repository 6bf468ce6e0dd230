//! The auditor, called from within; the same files are the program `auditor`.

#[path = "../auditor/evidence.rs"]
pub mod evidence;
#[path = "../auditor/report.rs"]
pub mod report;
#[path = "../auditor/rules.rs"]
pub mod rules;
