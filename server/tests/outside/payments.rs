//! The rules of money, from outside: what a caller, a person and a key may do with a payment, and what comes of it when
//! many do it at once.

mod amounts;
mod at_once;
mod batches;
mod books;
mod budgets;
mod decisions;
pub(crate) mod in_flight;
mod late;
mod lists;
mod person;
mod questions;
mod records;
mod repeating;
mod steps;
mod visitor;
