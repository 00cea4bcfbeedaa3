//! One suite that holds every store to the promises of `server::store`, whatever engine is behind it.
//!
//! The promises are functions over `Arc<dyn Store>`; [`engines`] names the engines, and the macro below makes a test of
//! each pair.
#![cfg(test)]

#[path = "store_contract/audit.rs"]
mod audit;
#[path = "store_contract/between.rs"]
mod between;
#[path = "store_contract/busy_keys.rs"]
mod busy_keys;
#[path = "store_contract/changes.rs"]
mod changes;
#[path = "store_contract/clocks.rs"]
mod clocks;
#[path = "store_contract/engines.rs"]
mod engines;
#[path = "store_contract/exposures.rs"]
mod exposures;
#[path = "store_contract/failover.rs"]
mod failover;
#[path = "store_contract/keys.rs"]
mod keys;
#[path = "store_contract/known_keys.rs"]
mod known_keys;
#[path = "store_contract/known_money.rs"]
mod known_money;
#[path = "store_contract/ledger.rs"]
mod ledger;
#[path = "store_contract/line.rs"]
mod line;
#[path = "store_contract/mail.rs"]
mod mail;
#[path = "store_contract/model.rs"]
mod model;
#[path = "store_contract/paying.rs"]
mod paying;
#[path = "store_contract/payment_lists.rs"]
mod payment_lists;
#[path = "store_contract/payments.rs"]
mod payments;
#[path = "store_contract/peppers.rs"]
mod peppers;
#[path = "store_contract/postgres.rs"]
mod postgres_itself;
#[path = "store_contract/sealing.rs"]
mod sealing;
#[path = "store_contract/sessions.rs"]
mod sessions;
#[path = "store_contract/spending.rs"]
mod spending;
#[path = "store_contract/sqlite.rs"]
mod sqlite;
#[path = "store_contract/waits.rs"]
mod waits;

/// A test for each promise on each engine.
macro_rules! promises {
    ($($room:ident :: $promise:ident),+ $(,)?) => {
        mod sqlite_in_a_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let engine = super::engines::in_a_file().await;
                super::$room::$promise(engine.store.clone()).await;
                engine.end().await;
            })+
        }
        mod sqlite_in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let engine = super::engines::in_memory().await;
                super::$room::$promise(engine.store.clone()).await;
                engine.end().await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let Some(engine) = super::engines::in_postgres().await else { return };
                super::$room::$promise(engine.store.clone()).await;
                engine.end().await;
            })+
        }
    };
}

promises!(
    ledger::a_transfer_moves_money_once_from_one_account_to_the_other,
    ledger::posting_the_same_transfer_again_moves_nothing,
    ledger::a_known_number_with_other_contents_is_refused,
    ledger::what_is_no_transfer_is_refused_and_changes_nothing,
    ledger::a_balance_that_would_overflow_is_refused,
    ledger::history_is_in_posting_order_and_latest_by_date,
    ledger::a_transfer_without_a_number_gets_the_next_one,
    ledger::concurrent_transfers_all_count,
    ledger::random_transfers_agree_with_a_simple_ledger,
    ledger::a_month_opens_with_what_was_before_and_holds_its_own_transfers,
    ledger::months_and_peers_are_those_of_the_user_alone,
    model::any_order_of_payments_agrees_with_a_simple_reference,
    model::payments_at_once_keep_the_books,
    sealing::whoever_asks_first_or_at_once_gets_the_same_sealing_key,
    sealing::a_new_sealing_key_is_made_once_when_it_is_time_and_the_old_one_forgotten,
    sealing::a_seal_is_spent_once_however_many_try,
    sealing::a_seal_is_remembered_until_it_expires,
    keys::a_key_is_found_by_its_digest_alone,
    keys::a_user_is_created_once,
    keys::a_user_whose_making_is_recorded_was_not_there_before,
    keys::a_key_needs_its_user,
    keys::keys_swap_their_secrets_together_or_not_at_all,
    keys::another_secret_ends_the_sessions_of_the_old_one,
    keys::what_a_key_loses_ends_its_sessions_however_weak_and_what_it_gains_ends_none,
    keys::a_key_is_replaced_once_by_one_that_may_as_much_and_lives_as_long,
    keys::a_service_has_another_key_once_its_last_one_has_ended,
    peppers::a_key_of_the_demo_is_what_it_was_with_another_pepper,
    peppers::a_pepper_stays_noted_while_a_key_is_good_that_was_made_with_it,
    sessions::a_session_is_there_until_it_is_ended,
    sessions::the_end_of_a_session_is_recorded_once,
    sessions::caps_hold_under_a_hundred_concurrent_openings,
    sessions::a_touch_moves_time_forward_only,
    sessions::expired_sessions_end_in_portions,
    sessions::a_session_that_was_used_just_now_is_not_ended_as_idle,
    payments::an_open_payment_sets_its_amount_aside_until_it_ends,
    payments::a_payment_moves_as_it_is_drawn_and_in_no_other_way,
    payments::work_happens_wholly_with_its_audit_record_or_not_at_all,
    payments::what_failed_within_is_not_kept_by_calling_it_done,
    payments::of_fifty_who_confirm_at_once_one_pays,
    payments::work_on_the_same_accounts_waits_its_turn_and_never_in_a_circle,
    paying::a_key_that_has_ended_cancels_nothing_and_gives_nothing_back,
    paying::a_refund_that_somebody_must_be_asked_about_by_then_gives_nothing_back,
    paying::money_moves_with_its_payment_or_not_at_all,
    paying::the_key_that_confirmed_a_payment_is_kept_with_it,
    paying::all_that_is_overdue_ends_however_much_it_is_and_frees_what_it_held,
    paying::a_new_payment_knows_the_newest_that_it_repeats,
    paying::whoever_is_named_is_held_with_the_payer_and_the_key,
    payment_lists::a_batch_keeps_its_order,
    payment_lists::payments_are_listed_for_whoever_may_see_them,
    payment_lists::payments_that_somebody_must_look_after_are_found,
    payment_lists::a_policy_is_the_whole_lines,
    payment_lists::of_two_changes_of_a_policy_at_once_neither_is_lost,
    spending::what_was_spent_is_summed_by_the_minute_and_can_be_taken_back,
    spending::work_whose_budget_is_refused_is_undone_wholly,
    spending::what_was_spent_days_ago_is_forgotten_when_more_is_spent,
    spending::of_a_hundred_payments_at_once_a_budget_lets_ten_through,
    spending::what_was_named_is_found_by_its_name_until_it_expires,
    spending::of_many_who_name_the_same_at_once_one_does_it_and_the_others_find_it,
    spending::a_similar_payment_is_the_newest_that_is_open_or_paid,
    spending::a_compensation_is_due_until_it_is_settled,
    spending::an_idempotency_key_is_one_calls_until_it_is_released_or_its_time_is_over,
    audit::records_come_back_newest_first_as_they_were,
    audit::a_text_of_any_kind_is_no_reason_to_lose_a_record,
    audit::a_filter_lets_the_same_records_through_however_long_the_trail,
    audit::a_flood_waits_and_loses_nothing,
    audit::a_closed_store_refuses_and_closing_twice_is_closing_once,
);
