//! How often callers may do what costs something.
//!
//! Keys that were refused are limited for an address, because nobody is known there yet; they are counted after they were
//! refused, so that however many come from an address, a good key from there is let in. Sessions that are opened are
//! limited for a key at an address, so that whoever opens too many takes nothing from others behind the same proxy. Two
//! things are limited for a key wherever it comes from: calls, and calls at once.
//!
//! A limit of `n` a minute lets `n` through at once and gives back one every `60 s / n` (the generic cell rate
//! algorithm). Each process counts for itself.

use std::{fmt, hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use dashmap::DashMap;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::KeyId;

/// How much is let through; `None` where nothing is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Refused keys of one address, in a minute.
    pub refused_keys: NonZeroU32,
    /// `initialize` requests of one key from one address, in a minute.
    pub initializations: NonZeroU32,
    /// Calls of one key, in a minute.
    pub calls: NonZeroU32,
    /// Calls of one key at once.
    pub calls_at_once: NonZeroU32,
}

/// What was used up. Its text is the name of the limit, as headers and the audit have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Refused keys of an address.
    RefusedKeys,
    /// Sessions that a key opens from an address.
    Initializations,
    /// Calls of a key.
    Calls,
    /// Calls of a key at once.
    CallsAtOnce,
}

impl Limit {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedKeys => "refused-keys",
            Self::Initializations => "initialize",
            Self::Calls => "calls",
            Self::CallsAtOnce => "calls-at-once",
        }
    }
}

/// A limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: try again in {} s", reason(.limit, .quota), .retry_after.as_secs().max(1))]
pub struct Limited {
    /// Which one.
    pub limit: Limit,
    /// How much is let through: in a minute, or at once.
    pub quota: u32,
    /// After which time there is room again: whole seconds, at least one.
    pub retry_after: Duration,
}

fn reason(limit: &Limit, quota: &u32) -> String {
    match limit {
        Limit::RefusedKeys => format!("Too many refused keys from this address (limit: {quota} a minute)"),
        Limit::Initializations => {
            format!("Too many sessions opened with this key from this address (limit: {quota} a minute)")
        }
        Limit::Calls => format!("Too many calls with this key (limit: {quota} a minute)"),
        Limit::CallsAtOnce => format!("Too many calls with this key at once (limit: {quota})"),
    }
}

/// Counts what callers do. Clones share the counts.
#[derive(Clone, Default)]
pub struct Limits(Option<Arc<Counts>>);

struct Counts {
    settings: LimitSettings,
    refused_keys: Bucket<IpNet>,
    initializations: Bucket<(IpNet, KeyId)>,
    calls: Bucket<KeyId>,
    running: DashMap<KeyId, Arc<Semaphore>>,
}

impl Counts {
    fn place(&self, lineage: &KeyId) -> Result<Admission, Limited> {
        let quota = self.settings.calls_at_once.get();
        let places =
            self.running.get(lineage).map(|places| Arc::clone(places.value())).unwrap_or_else(|| {
                let places = self.running.entry(lineage.clone());
                let new = || Arc::new(Semaphore::new(usize::try_from(quota).unwrap_or(usize::MAX)));
                Arc::clone(places.or_insert_with(new).value())
            });
        let place = places.try_acquire_owned();
        place.map(|place| Admission(Some(place))).map_err(|_| Limited {
            limit: Limit::CallsAtOnce,
            quota,
            retry_after: Duration::from_secs(1),
        })
    }
}

/// A call that is running; it makes room when it is dropped.
#[derive(Debug, Default)]
pub struct Admission(
    #[expect(dead_code, reason = "held for what its drop does")] Option<OwnedSemaphorePermit>,
);

impl Limits {
    /// Limits of this size; nothing is limited where there are none.
    #[must_use]
    pub fn new(settings: Option<LimitSettings>) -> Self {
        Self(settings.map(|settings| {
            Arc::new(Counts {
                settings,
                refused_keys: Bucket::new(Limit::RefusedKeys, settings.refused_keys),
                initializations: Bucket::new(Limit::Initializations, settings.initializations),
                calls: Bucket::new(Limit::Calls, settings.calls),
                running: DashMap::new(),
            })
        }))
    }

    /// Of what size they are.
    #[must_use]
    pub fn settings(&self) -> Option<LimitSettings> {
        self.0.as_ref().map(|counts| counts.settings)
    }

    /// Counts a key that was refused. The key stays refused either way.
    ///
    /// # Errors
    /// [`Limited`] when this was one too many.
    pub fn refused_key(&self, from: IpAddr) -> Result<(), Limited> {
        self.0.as_ref().map_or(Ok(()), |counts| counts.refused_keys.take(&network(from)))
    }

    /// Counts a session that is about to be opened, under the first key of the caller's line and its address.
    ///
    /// # Errors
    /// [`Limited`] when it must not be.
    pub fn initialization(&self, from: IpAddr, lineage: &KeyId) -> Result<(), Limited> {
        let Some(counts) = &self.0 else { return Ok(()) };
        counts.initializations.take(&(network(from), lineage.clone()))
    }

    /// Counts a call that is about to run, under the first key of the caller's line, so that rotating gives no second
    /// helping.
    ///
    /// # Errors
    /// [`Limited`] when it must not run.
    pub fn call(&self, lineage: &KeyId) -> Result<Admission, Limited> {
        let Some(counts) = &self.0 else { return Ok(Admission::default()) };
        counts.calls.take(lineage)?;
        counts.place(lineage)
    }

    /// Counts what is left in the store for another server, like a call. It takes no place: those may all be held by calls
    /// that wait for it.
    ///
    /// # Errors
    /// [`Limited`] when it must not be left.
    pub fn mail(&self, lineage: &KeyId) -> Result<(), Limited> {
        self.0.as_ref().map_or(Ok(()), |counts| counts.calls.take(lineage))
    }

    /// Takes one of the places that the calls of this line have, for a request whose body has not come yet: what of it has
    /// come takes up memory.
    ///
    /// # Errors
    /// [`Limited`] when it must not be waited for.
    pub fn arrival(&self, lineage: &KeyId) -> Result<Admission, Limited> {
        self.0.as_ref().map_or_else(|| Ok(Admission::default()), |counts| counts.place(lineage))
    }

    /// Forgets whoever has used nothing for so long that it makes no difference. Call it every few seconds.
    pub fn sweep(&self) {
        let Some(counts) = &self.0 else { return };
        counts.refused_keys.forget();
        counts.initializations.forget();
        counts.calls.forget();
        counts.running.retain(|_, places| Arc::strong_count(places) > 1);
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limits").field(&self.settings()).finish()
    }
}

/// A limit for each of many.
struct Bucket<K: Hash + Eq + Clone> {
    limit: Limit,
    quota: u32,
    limiter: RateLimiter<K, DashMapStateStore<K>, DefaultClock>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Bucket<K> {
    fn new(limit: Limit, quota: NonZeroU32) -> Self {
        Self {
            limit,
            quota: quota.get(),
            limiter: RateLimiter::dashmap(Quota::per_minute(quota)),
            clock: DefaultClock::default(),
        }
    }

    fn take(&self, whose: &K) -> Result<(), Limited> {
        self.limiter.check_key(whose).map_err(|not_yet| {
            let wait = not_yet.wait_time_from(self.clock.now());
            let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            Limited { limit: self.limit, quota: self.quota, retry_after: Duration::from_secs(whole) }
        })
    }

    fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// What counts as one address: an IPv6 host has a whole /64 to choose from.
pub(crate) fn network(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4.into(),
        v6 @ IpAddr::V6(_) => IpNet::new(v6, 64).unwrap_or_else(|_| v6.into()).trunc(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn limits(n: u32) -> Limits {
        let n = NonZeroU32::new(n).unwrap();
        Limits::new(Some(LimitSettings {
            refused_keys: n,
            initializations: n,
            calls: n.saturating_mul(NonZeroU32::new(2).unwrap()),
            calls_at_once: n,
        }))
    }

    #[test]
    fn an_address_uses_up_its_own_share() {
        let limits = limits(3);
        let (here, there) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
        for _ in 0..3 {
            limits.refused_key(here).unwrap();
        }
        let limited = limits.refused_key(here).unwrap_err();
        assert_eq!((limited.limit, limited.quota), (Limit::RefusedKeys, 3));
        assert!((1..=20).contains(&limited.retry_after.as_secs()), "{limited:?}");
        limits.refused_key(there).unwrap();
    }

    #[test]
    fn a_key_opens_its_own_share_of_sessions_from_each_address() {
        let limits = limits(1);
        let (here, there) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
        let (one, other) = (KeyId("1".to_owned()), KeyId("2".to_owned()));
        limits.initialization(here, &one).unwrap();
        assert_eq!(limits.initialization(here, &one).unwrap_err().limit, Limit::Initializations);
        limits.initialization(here, &other).unwrap();
        limits.initialization(there, &one).unwrap();
        limits.refused_key(here).unwrap();
    }

    #[test]
    fn an_ipv6_host_is_its_network_and_a_mapped_address_is_itself() {
        let limits = limits(1);
        limits.refused_key("2001:db8::1".parse().unwrap()).unwrap();
        limits.refused_key("2001:db8::2".parse().unwrap()).unwrap_err();
        limits.refused_key("2001:db8:0:1::2".parse().unwrap()).unwrap();
        limits.refused_key("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        limits.refused_key("192.0.2.1".parse().unwrap()).unwrap_err();
    }

    #[test]
    fn a_call_makes_room_when_it_is_over() {
        let limits = limits(2);
        let key = KeyId("1".to_owned());
        let first = limits.call(&key).unwrap();
        let _second = limits.call(&key).unwrap();
        assert_eq!(limits.call(&key).unwrap_err().limit, Limit::CallsAtOnce);
        drop(first);
        limits.sweep();
        let _third = limits.call(&key).unwrap();
        assert_eq!(limits.call(&key).unwrap_err().limit, Limit::Calls);
        let _another = limits.call(&KeyId("2".to_owned())).unwrap();
    }

    #[test]
    fn without_settings_nothing_is_limited() {
        let limits = Limits::new(None);
        for _ in 0..1_000 {
            limits.refused_key(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        }
    }
}
