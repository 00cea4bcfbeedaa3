//! What the agent does, told as it happens.

use super::{Event, Terminal};
use crate::agent::{AgentEvent, Observer};

impl Observer for Terminal {
    fn on(&self, event: &AgentEvent<'_>) {
        self.show(&Event::Agent(*event));
    }
}
