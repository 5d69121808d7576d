//! Misbehaviour on command: the switch, and what it can be set to. What a plan does to an answer is the
//! face's.

use http::StatusCode;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Misbehaviour on command, switched while the PDP runs. Clones are one switch.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Switch>>);

/// How to misbehave from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// Waited before every answer.
    pub latency: Duration,
    /// What is done then.
    pub behaviour: Behaviour,
}

/// What is done with a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Answer it.
    #[default]
    Answer,
    /// Refuse it with this status, and this `Retry-After`.
    Refuse(StatusCode, Option<Duration>),
    /// End the connection without an answer.
    DropConnection,
    /// Answer `Indeterminate`, with `200`.
    Indeterminate,
    /// Answer with every result twice.
    Repeat,
}

#[derive(Clone, Copy, Debug, Default)]
struct Switch {
    plan: FaultPlan,
    /// For how many requests yet; `None` is until the switch is set again.
    times: Option<NonZeroU32>,
}

impl Faults {
    /// Behaves like this from the next request on.
    pub fn set(&self, plan: FaultPlan) {
        self.set_for(plan, None);
    }

    /// Behaves like this for the next so many requests, and well after them; without a number, until
    /// the switch is set again.
    pub fn set_for(&self, plan: FaultPlan, times: Option<NonZeroU32>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Switch { plan, times };
    }

    /// Behaves like this from the next request on, without delay.
    pub fn behave(&self, behaviour: Behaviour) {
        self.set(FaultPlan { latency: Duration::ZERO, behaviour });
    }

    /// What the switch is set to, and for how many requests yet.
    #[must_use]
    pub fn current(&self) -> (FaultPlan, Option<NonZeroU32>) {
        let Switch { plan, times } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (plan, times)
    }

    /// The plan for a request that has come.
    pub(super) fn next(&self) -> FaultPlan {
        let mut switch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = switch.plan;
        if let Some(times) = switch.times {
            let left = NonZeroU32::new(times.get().saturating_sub(1));
            *switch = left.map_or_else(Switch::default, |left| Switch { plan, times: Some(left) });
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_with_a_number_lasts_for_so_many_requests_and_one_without_until_the_next() {
        let faults = Faults::default();
        let plan = FaultPlan { latency: Duration::ZERO, behaviour: Behaviour::DropConnection };
        faults.set_for(plan, NonZeroU32::new(2));
        assert_eq!(faults.current(), (plan, NonZeroU32::new(2)));
        assert_eq!([faults.next(), faults.next()], [plan, plan]);
        assert_eq!(faults.current(), (FaultPlan::default(), None));
        assert_eq!(faults.next(), FaultPlan::default());
        faults.behave(Behaviour::Repeat);
        for _ in 0..3 {
            assert_eq!(faults.next().behaviour, Behaviour::Repeat);
        }
    }
}
