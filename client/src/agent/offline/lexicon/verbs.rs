//! Verbs that read and verbs that change something.

use super::super::words::stem;

/// What a tool's name or a request begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Verb {
    /// It shows something.
    Read,
    /// It changes something.
    Change,
}

const READ: &str = "get list show read find search fetch describe lookup query view check retrieve return display count \
                    browse inspect look returns summarize summarise explain calculate";

const CHANGE: &str = "pay send transfer wire move give lend loan donate repay reimburse settle cancel refund delete remove erase \
     wipe clear drop create add make open close reopen resolve finish assign reassign unassign update edit change \
     modify set rename approve reject confirm accept decline block unblock freeze unfreeze lock unlock reset \
     withdraw deposit order book schedule start stop enable disable convert exchange increase raise lower reduce \
     double void revert undo reverse dispute submit post write publish upload file report log register subscribe \
     unsubscribe invite notify remind email text message forward share execute trigger deploy restart install \
     merge comment label tag mark archive restore put take charge request save import sync fix hack steal grant \
     revoke tip gift split borrow invest sell zelle venmo swap topup purchase buy spend reopen complete return rotate \
     amend alter replace insert append apply mint burn authorize authorise capture hold ban kick \
     promote demote generate build rebuild clone fork push patch initiate process redo repeat retry resend rob";

/// Verbs that are nouns, or adjectives, as often.
const NOUN_TOO: &str = "transfer wire order refund charge deposit report comment request log post purchase open exchange file \
                        share mark label message email text book return tag patch fork hold process \
                        set complete loan gift tip";

/// Nouns that are looked at: what stands before them is no verb.
const READING_NOUNS: &str = "history list lists status log logs record records details activity summary overview statement \
                             statements information data";

/// Every verb.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    READ.split_whitespace().chain(CHANGE.split_whitespace())
}

/// What a word of a tool's name, or the first of its description, does if it is a verb.
pub(in super::super) fn reads(word: &str) -> Option<Verb> {
    if READ.split_whitespace().any(|verb| verb == word) {
        return Some(Verb::Read);
    }
    let stem = stem(word);
    let changes = CHANGE
        .split_whitespace()
        .any(|verb| verb == word || (word.ends_with('s') && super::stem(verb) == stem));
    changes.then_some(Verb::Change)
}

/// The word, as it stands, can be an imperative that asks for a change.
pub(in super::super) fn is_change(word: &str) -> bool {
    CHANGE.split_whitespace().any(|verb| verb == word)
}

/// The word can be a noun or an adjective as well as a verb.
pub(in super::super) fn is_noun_too(word: &str) -> bool {
    NOUN_TOO.split_whitespace().any(|noun| noun == word)
}

/// The word is something to look at.
pub(in super::super) fn is_reading_noun(word: &str) -> bool {
    READING_NOUNS.split_whitespace().any(|noun| noun == word)
}
