//! In which order the payments of a batch are carried out.

use super::{BatchItem, STEPS_MAX};
use crate::payments::Refusal;

/// The places (from 0) of the payments so that each comes after those that it names, and otherwise in the order in which
/// they were asked for.
pub(super) fn in_order(items: &[BatchItem]) -> Result<Vec<usize>, Refusal> {
    if items.is_empty() || items.len() > STEPS_MAX {
        let text =
            format!("`payments` must have 1 to {STEPS_MAX} payments. Split the batch, or pay one by one.");
        return Err(Refusal::InvalidArgument(text));
    }
    let place = |step: u32| {
        let place = usize::try_from(step).ok()?.checked_sub(1)?;
        (place < items.len()).then_some(place)
    };
    let mut waits_for: Vec<Vec<usize>> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let step = at.saturating_add(1);
        let after: Option<Vec<_>> = item.after.iter().map(|step| place(*step)).collect();
        let Some(after) = after else {
            let text = format!("`after` of step {step} must name steps from 1 to {}", items.len());
            return Err(Refusal::InvalidArgument(text));
        };
        waits_for.push(after);
    }
    let mut sequence: Vec<usize> = Vec::with_capacity(items.len());
    while sequence.len() < items.len() {
        let is_ready = |(at, after): &(usize, &Vec<usize>)| {
            !sequence.contains(at) && after.iter().all(|before| sequence.contains(before))
        };
        let next = waits_for.iter().enumerate().find(is_ready).map(|(at, _)| at);
        let Some(next) = next else {
            let stuck = (0..items.len()).find(|at| !sequence.contains(at)).unwrap_or_default();
            let text = format!(
                "`after` of step {} leads in a circle. Take one of them out.",
                stuck.saturating_add(1)
            );
            return Err(Refusal::InvalidArgument(text));
        };
        sequence.push(next);
    }
    Ok(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(after: &[&[u32]]) -> Vec<BatchItem> {
        let item = |after: &&[u32]| BatchItem {
            to: "alice".to_owned(),
            amount: "1".to_owned(),
            memo: None,
            after: after.to_vec(),
        };
        after.iter().map(item).collect()
    }

    #[test]
    fn each_comes_after_those_that_it_names() {
        assert_eq!(in_order(&items(&[&[], &[], &[]])).unwrap(), [0, 1, 2]);
        assert_eq!(in_order(&items(&[&[3], &[1], &[]])).unwrap(), [2, 0, 1]);
        assert_eq!(in_order(&items(&[&[2, 3], &[], &[2]])).unwrap(), [1, 2, 0]);
    }

    #[test]
    fn circles_and_unknown_steps_are_refused_by_name() {
        for (after, word) in [
            (&[&[1][..]][..], "circle"),
            (&[&[2], &[1]], "circle"),
            (&[&[], &[3], &[2]], "circle of step"),
            (&[&[0]], "from 1 to 1"),
            (&[&[2]], "from 1 to 1"),
            (&[], "1 to 100"),
        ] {
            let error = in_order(&items(after)).unwrap_err().to_string();
            assert!(error.starts_with("invalid_argument: "), "{error}");
            assert!(error.contains(word.split(' ').next().unwrap()), "{error}");
        }
        assert!(in_order(&items(&[&[][..]; 101])).is_err());
    }
}
