//! Payments of several people, in any order, held against a simple reference after every step; and at once, held
//! against what must be true in the end. A failing sequence is shortened and printed, with the seed that makes the run
//! again: `MODEL_SEED=…`.

use std::{
    collections::HashSet,
    mem,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use parking_lot::Mutex;
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestCaseResult, TestRunner},
};
use server::store::{PaymentStatus, Store};
use tokio::{runtime::Handle, task};

use world::World;

#[path = "model/reference.rs"]
mod reference;
#[path = "model/world.rs"]
mod world;

/// How many people there are, with two keys each.
const USERS: usize = 3;

/// How far below zero each may go, in cents.
const CREDIT: i64 = 20_000;

/// Whom to pay how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    to: usize,
    amount: i64,
}

/// What a key may pay.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limit {
    automatic_below: i64,
    maximum: Option<i64>,
    budget: Option<i64>,
    payee: Option<usize>,
}

/// What a person says, if there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Consent {
    Accept,
    Decline,
    CannotBeAsked,
}

/// One step. A payment is named by a number that is taken modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    Create {
        key: usize,
        order: Order,
        name: Option<u8>,
    },
    Confirm {
        by: usize,
        payment: usize,
        consent: Consent,
    },
    Cancel {
        by: usize,
        payment: usize,
    },
    Refund {
        by: usize,
        payment: usize,
        amount: Option<i64>,
        name: Option<u8>,
    },
    /// What waits for its owner, alone or as the whole batch that it is part of.
    Approve {
        payment: usize,
    },
    Batch {
        key: usize,
        orders: Vec<Order>,
        consent: Consent,
        name: Option<u8>,
    },
    /// All that somebody may see, page by page.
    List {
        by: usize,
        status: Option<PaymentStatus>,
        name: Option<u8>,
        limit: u32,
    },
    Limit {
        key: usize,
        limit: Limit,
    },
    Revoke {
        key: usize,
    },
    Expire,
}

fn amounts() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![1, 100, 250, 999, 5_000, 19_999, 20_001])
}

fn orders() -> impl Strategy<Value = Order> {
    (0..USERS, amounts()).prop_map(|(to, amount)| Order { to, amount })
}

fn steps() -> impl Strategy<Value = Step> {
    let key = 0..2 * USERS;
    let consent = || {
        prop_oneof![
            4 => Just(Consent::Accept),
            1 => Just(Consent::Decline),
            2 => Just(Consent::CannotBeAsked),
        ]
    };
    let name = || prop::option::weighted(0.4, 0..2_u8);
    let limit = (
        0..2_000_i64,
        prop::option::of(amounts()),
        prop::option::of(0..30_000_i64),
        prop::option::of(0..USERS),
    );
    let limit = limit.prop_map(|(automatic_below, maximum, budget, payee)| Limit {
        automatic_below,
        maximum,
        budget,
        payee,
    });
    let by = || 0..USERS;
    prop_oneof![
        6 => (key.clone(), orders(), name()).prop_map(|(key, order, name)| Step::Create { key, order, name }),
        6 => (by(), any::<u8>(), consent())
            .prop_map(|(by, payment, consent)| Step::Confirm { by, payment: payment.into(), consent }),
        2 => (by(), any::<u8>()).prop_map(|(by, payment)| Step::Cancel { by, payment: payment.into() }),
        3 => (by(), any::<u8>(), prop::option::of(amounts()), name())
            .prop_map(|(by, payment, amount, name)| Step::Refund { by, payment: payment.into(), amount, name }),
        2 => any::<u8>().prop_map(|payment| Step::Approve { payment: payment.into() }),
        3 => (key.clone(), prop::collection::vec(orders(), 1..4), consent(), name())
            .prop_map(|(key, orders, consent, name)| Step::Batch { key, orders, consent, name }),
        2 => (by(), prop::option::of(prop::sample::select(&PaymentStatus::ALL[..])), name(), 1..4_u32)
            .prop_map(|(by, status, name, limit)| Step::List { by, status, name, limit }),
        1 => (key.clone(), limit).prop_map(|(key, limit)| Step::Limit { key, limit }),
        1 => key.prop_map(|key| Step::Revoke { key }),
        1 => Just(Step::Expire),
    ]
}

/// What a run makes its sequences from: another number each time, unless somebody names one.
#[expect(clippy::disallowed_methods, reason = "tests have settings, too")]
fn seed() -> u64 {
    let named = std::env::var("MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    named.unwrap_or_else(|| {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        u64::from_le_bytes(seed)
    })
}

/// Runs as many sequences as the tests have time for; the first that fails is made as short as it goes.
fn hold(cases: u32, length: usize, test: impl Fn(Vec<Step>) -> TestCaseResult) {
    let seed = seed();
    let rng_seed = RngSeed::Fixed(seed);
    let config =
        Config { cases, max_shrink_iters: 200, failure_persistence: None, rng_seed, ..Config::default() };
    let strategy = prop::collection::vec(steps(), 1..length);
    if let Err(failure) = TestRunner::new(config).run(&strategy, test) {
        panic!("{failure}\nthe same run again: MODEL_SEED={seed}");
    }
}

/// People of whom nobody has heard before.
fn fresh() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    NEXT.fetch_add(i64::try_from(USERS).unwrap(), Ordering::Relaxed)
}

pub(crate) async fn any_order_of_payments_agrees_with_a_simple_reference(store: Arc<dyn Store>) {
    task::block_in_place(|| {
        hold(60, 40, |steps| {
            Handle::current().block_on(async {
                let mut world = World::start(Arc::clone(&store), fresh()).await;
                for step in &steps {
                    world.agree(step).await.map_err(|why| TestCaseError::fail(format!("{step:?}: {why}")))?;
                }
                Ok(())
            })
        });
    });
}

pub(crate) async fn payments_at_once_keep_the_books(store: Arc<dyn Store>) {
    let carried_out = Mutex::new(HashSet::new());
    task::block_in_place(|| {
        hold(20, 60, |steps| {
            Handle::current().block_on(async {
                let world = Arc::new(World::start(Arc::clone(&store), fresh()).await);
                let made = Arc::new(Mutex::new(Vec::new()));
                let mut acknowledged = Vec::new();
                for step in (0..USERS).flat_map(before) {
                    acknowledged.extend(world.take(&step, &made).await);
                }
                let mut running = task::JoinSet::new();
                for step in (0..USERS).flat_map(rush).chain(steps) {
                    let (world, made) = (Arc::clone(&world), Arc::clone(&made));
                    running.spawn(async move { (mem::discriminant(&step), world.take(&step, &made).await) });
                }
                for (step, told) in running.join_all().await {
                    if !told.is_empty() {
                        carried_out.lock().insert(step);
                    }
                    acknowledged.extend(told);
                }
                world.books_hold(&acknowledged).await.map_err(TestCaseError::fail)
            })
        });
    });
    for step in rush(0) {
        let was_carried_out = carried_out.lock().contains(&mem::discriminant(&step));
        assert!(was_carried_out, "nothing came of any step like {step:?}");
    }
}

/// What somebody has made before everything happens at once: a payment that waits, and one that is paid.
fn before(user: usize) -> [Step; 2] {
    let (key, to) = (2 * user, (user + 1) % USERS);
    let order = |amount| Order { to, amount };
    [
        Step::Create { key, order: order(5_000), name: None },
        Step::Batch { key, orders: vec![order(4_000)], consent: Consent::Accept, name: None },
    ]
}

/// Steps that are in each other's way: of the first three one decides about what waits, who comes first being another with
/// everybody, and of two refunds of more than the half there is enough for one.
fn rush(user: usize) -> [Step; 5] {
    let (waiting, paid, payee) = (2 * user, 2 * user + 1, (user + 1) % USERS);
    let mut decisions = [
        Step::Cancel { by: user, payment: waiting },
        Step::Confirm { by: user, payment: waiting, consent: Consent::Accept },
        Step::Approve { payment: waiting },
    ];
    decisions.rotate_left(user);
    let [first, second, third] = decisions;
    let refund = || Step::Refund { by: payee, payment: paid, amount: Some(2_500), name: None };
    [first, second, third, refund(), refund()]
}

/// Whether what was acknowledged can have become this.
fn is_reachable(from: PaymentStatus, to: PaymentStatus) -> bool {
    from == to
        || PaymentStatus::ALL
            .into_iter()
            .any(|next| from.may_become(next) && next != from && is_reachable(next, to))
}
