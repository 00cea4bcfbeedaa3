//! The program as whoever starts it meets it: the real binary, over real sockets, against a server and a model endpoint
//! that can be told to misbehave.
#![cfg(test)]

#[cfg(unix)]
mod abandoned;
mod arguments;
#[cfg(unix)]
mod asking;
#[cfg(unix)]
mod confirming;
mod conversations;
mod doctor;
mod endings;
mod forbidden;
mod hostile;
mod machine;
mod model;
mod modern;
mod offers;
#[path = "../../../shared/tests/support/official.rs"]
mod official;
mod program;
mod reading;
mod server;
#[cfg(unix)]
mod services;
mod settings;
