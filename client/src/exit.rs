//! How the program ends, for whoever started it.

use std::process::ExitCode;

/// An exit code of the program. `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: it was answered.
    Answered,
    /// 1: the tool that `call` ran reported an error, or the output could not be written.
    Failed,
    /// 2: the command line or a setting is wrong.
    Usage,
    /// 3: there is no key, or the server refused it.
    Unauthorized,
    /// 3 as well: the token cannot be read, so that nothing was sent.
    NoCredentials,
    /// 3 as well: the server refuses the request, and nothing says that it is for its key.
    Forbidden,
    /// 4: the server cannot be reached, is no MCP server, or broke the protocol.
    Server,
    /// 5: the model endpoint failed.
    Model,
    /// 6: a question stopped at the step limit, or its answer was cut off; there is one all the same.
    StepLimit,
    /// 7: a payment was declined, or needs a confirmation that nobody can give.
    Declined,
    /// 130: Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Answered => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unauthorized | Self::NoCredentials | Self::Forbidden => 3,
            Self::Server => 4,
            Self::Model => 5,
            Self::StepLimit => 6,
            Self::Declined => 7,
            Self::Interrupted => 130,
        }
    }

    /// The first of two outcomes that is not [`Exit::Answered`]: what a run of several questions ends with.
    #[must_use]
    pub const fn or(self, later: Self) -> Self {
        match self {
            Self::Answered => later,
            Self::Failed
            | Self::Usage
            | Self::Unauthorized
            | Self::NoCredentials
            | Self::Forbidden
            | Self::Server
            | Self::Model
            | Self::StepLimit
            | Self::Declined
            | Self::Interrupted => self,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
