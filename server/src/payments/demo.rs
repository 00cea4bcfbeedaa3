//! What the workshop demo begins with: three users with accounts and an auditor, seven transfers, four keys.

use jiff::{
    civil::{Date, date},
    tz::TimeZone,
};

use crate::{
    clock::UnixMillis,
    identity::{Permission, PermissionSet, Role},
    money::{Amount, Currency},
    store::{
        AccountHolder, DEMO_KEY_IDS, KeyDigest, KeyId, KeyMode, KnownSecret, NewTransfer, Store, StoreError,
        StoredKey, TransferId, UserId,
    },
};

/// What a demo account may owe, in minor units.
const CREDIT_LIMIT_MINOR: i64 = 100_000;

const BOB: UserId = UserId(1);
const CHARLIE: UserId = UserId(2);
const ALICE: UserId = UserId(3);
const AUDITOR: UserId = UserId(4);

const USERS: [(UserId, &str); 4] =
    [(BOB, "bob"), (CHARLIE, "charlie"), (ALICE, "alice"), (AUDITOR, "auditor")];

/// Number, payer, payee, whole dollars, date; in the order of the original demo's table.
const TRANSFERS: [(i64, UserId, UserId, i64, Date); 7] = [
    (1, BOB, ALICE, 100, date(2024, 3, 15)),
    (3, BOB, CHARLIE, 75, date(2024, 3, 17)),
    (5, BOB, ALICE, 200, date(2024, 3, 19)),
    (2, ALICE, CHARLIE, 50, date(2024, 3, 16)),
    (6, ALICE, BOB, 150, date(2024, 3, 20)),
    (4, CHARLIE, BOB, 25, date(2024, 3, 18)),
    (7, CHARLIE, ALICE, 80, date(2024, 3, 21)),
];

/// What is kept of a demo key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoKey {
    /// What its secret hashes to.
    pub digest: KeyDigest,
    /// The last four characters of its secret.
    pub last_four: String,
}

/// The demo keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoKeys {
    /// Bob's.
    pub bob: DemoKey,
    /// Alice's.
    pub alice: DemoKey,
    /// Charlie's, which may see his balance only.
    pub charlie: DemoKey,
    /// The auditor's, which may read the audit trail only.
    pub auditor: DemoKey,
}

impl DemoKeys {
    /// Their secrets, as far as they are known to a store.
    #[must_use]
    pub fn secrets(&self) -> Vec<KnownSecret> {
        let kept = [&self.bob, &self.alice, &self.charlie, &self.auditor];
        let secret = |(id, kept): (&str, &DemoKey)| KnownSecret {
            id: KeyId(id.to_owned()),
            digest: kept.digest,
            last_four: kept.last_four.clone(),
        };
        DEMO_KEY_IDS.into_iter().zip(kept).map(secret).collect()
    }
}

/// Why the demo is not in a database.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It has users or keys of a real deployment, and nothing was changed. Serve it without the demo.
    #[error("the database has {0} not of the demo")]
    SomebodyElses(&'static str),
    /// The store did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks whether the demo may be in a database, and changes nothing. It may not in one that has users and none of the
/// demo's, or whose users or keys have the demo's names or numbers; users who were added to the demo are no hindrance.
///
/// # Errors
/// [`SeedError::SomebodyElses`] when the database belongs to a real deployment; [`StoreError::Unavailable`].
pub async fn is_for_the_demo(store: &dyn Store) -> Result<(), SeedError> {
    let holders = store.holders().await?;
    let is_ours = |holder: &AccountHolder| USERS.contains(&(holder.user, holder.username.as_str()));
    let is_alike = |holder: &AccountHolder| {
        USERS.iter().any(|(user, username)| holder.user == *user || holder.username == *username)
    };
    let begun = holders.is_empty() || holders.iter().any(is_ours);
    if !begun || holders.iter().any(|holder| is_alike(holder) && !is_ours(holder)) {
        return Err(SeedError::SomebodyElses("users who are"));
    }
    let is_live = |key: &StoredKey| key.mode != KeyMode::Demo && DEMO_KEY_IDS.contains(&key.id.0.as_str());
    if store.keys().await?.iter().any(is_live) {
        return Err(SeedError::SomebodyElses("keys that are"));
    }
    Ok(())
}

/// Seeds an empty database with the demo's users and transfers, and puts the demo keys, so that a changed one takes
/// effect and ends the sessions of the old one. A database that is somebody else's ([`is_for_the_demo`]) gets nothing.
/// Seeding again, or in two processes at once, adds nothing: users and transfers have numbers of their own, and a key
/// that has not changed stays as it is, revoked or not. Whoever has another pepper notes it first
/// ([`note_pepper`](crate::store::KeyStore::note_pepper)): otherwise every key would have changed.
///
/// # Errors
/// As [`is_for_the_demo`]; [`StoreError::Taken`] when a secret is another key's.
pub async fn seed_demo(store: &dyn Store, keys: &DemoKeys) -> Result<(), SeedError> {
    is_for_the_demo(store).await?;
    let [one, two, three, four] = DEMO_KEY_IDS;
    let wanted = [
        key(one, BOB, ("Bob Personal Key", date(2024, 1, 1)), Role::Customer.permissions(), &keys.bob),
        key(two, ALICE, ("Alice Personal Key", date(2024, 1, 15)), Role::Customer.permissions(), &keys.alice),
        key(three, CHARLIE, ("Charlie Balance Key", date(2024, 1, 20)), BALANCE_ONLY, &keys.charlie),
        key(four, AUDITOR, ("Audit Key", date(2024, 1, 20)), Role::Auditor.permissions(), &keys.auditor),
    ];
    open_books(store).await?;
    let kept = store.keys().await?;
    let is_kept = |key: &StoredKey| kept.iter().any(|kept| kept.id == key.id && kept.digest == key.digest);
    let changed: Vec<_> = wanted.into_iter().filter(|key| !is_kept(key)).collect();
    if changed.is_empty() { Ok(()) } else { Ok(store.put_keys(changed).await?) }
}

/// Creates users and transfers. What is there already costs a look: nothing tells a complete demo from one whose seeding
/// was cut off, other than doing it again.
async fn open_books(store: &dyn Store) -> Result<(), StoreError> {
    for (user, username) in USERS {
        store
            .put_holder(AccountHolder {
                user,
                username: username.to_owned(),
                currency: Currency::USD.code().to_owned(),
                credit_limit_minor: CREDIT_LIMIT_MINOR,
            })
            .await?;
    }
    for (id, from, to, dollars, date) in TRANSFERS {
        let amount = Amount::from_minor(dollars * 100, Currency::USD);
        store.post(NewTransfer { id: Some(TransferId(id)), from, to, amount, date }).await?;
    }
    Ok(())
}

/// What Charlie's key may do.
const BALANCE_ONLY: PermissionSet = PermissionSet::of(&[Permission::IdentityRead, Permission::BalanceRead]);

fn key(
    id: &str,
    user: UserId,
    (name, created): (&str, Date),
    allowed: PermissionSet,
    key: &DemoKey,
) -> StoredKey {
    let midnight = created.to_zoned(TimeZone::UTC).map_or(0, |day| day.timestamp().as_millisecond());
    StoredKey {
        id: KeyId(id.to_owned()),
        digest: key.digest,
        user,
        username: String::new(),
        lineage: KeyId(id.to_owned()),
        sources: Vec::new(),
        permissions: allowed.bits(),
        role: Role::name_of(allowed).to_owned(),
        name: name.to_owned(),
        mode: KeyMode::Demo,
        last_four: key.last_four.clone(),
        created_at: UnixMillis::from_millis(midnight),
        expires_at: None,
        revoked_at: None,
        used_at: None,
        service: None,
    }
}
