//! The server from outside: over real sockets, as its callers meet it, sharing every line with `main` but the settings.
//!
//! One file a noun. The wire is written and read by hand ([`support::wire`]), so that what is pinned is the bytes and
//! not what a library makes of them. One program for all of it: it links once.
#![cfg(test)]

mod support;

mod arguments;
mod asking;
mod attacks;
mod canaries;
mod cancelling;
mod cards;
mod committing;
mod connections;
mod demo_wire;
mod health;
mod hostile;
mod hosts;
mod keys;
mod killed;
mod lifecycle;
mod limits;
mod lost_answers;
mod memory;
mod months;
mod musts;
mod operating;
mod operating_audit;
mod operating_keys;
mod operating_payments;
mod owners;
mod pages;
mod payments;
mod permissions;
mod program;
mod prompts;
mod refusals;
mod replicas;
mod resources;
mod restarts;
mod resuming;
mod risk;
mod rules;
mod scratch;
mod sealing;
mod services;
mod sessions;
mod settings;
mod stateless;
mod statuses;
mod streams;
mod telling;
mod tools;
