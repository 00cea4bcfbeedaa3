//! Rules that take more than one exchange, and which tests show them. Chapters are those of each revision's specification.

use super::Elsewhere;

/// Revision 2025-11-25.
pub(super) const WITH_SESSIONS: &[Elsewhere] = &[
    Elsewhere {
        chapter: "Transports, Listening for Messages from the Server, 4",
        says: "no response comes on a stream that GET opened, unless it goes on with one that broke",
        test: (
            "server/tests/outside/resuming.rs",
            "a_client_that_lost_its_connection_gets_exactly_what_it_missed",
        ),
    },
    Elsewhere {
        chapter: "Transports, Multiple Connections, 2",
        says: "a message is sent on one stream only",
        test: ("server/tests/outside/telling.rs", "several_calls_of_a_session_stream_at_once"),
    },
    Elsewhere {
        chapter: "Transports, Resumability and Redelivery, 1",
        says: "an event's id is unique in its session",
        test: ("server/tests/outside/telling.rs", "several_calls_of_a_session_stream_at_once"),
    },
    Elsewhere {
        chapter: "Progress, Progress Flow",
        says: "progress increases, refers to the token that was given, and stops with the answer",
        test: (
            "server/tests/outside/telling.rs",
            "progress_comes_before_the_answer_under_the_token_that_was_given",
        ),
    },
    Elsewhere {
        chapter: "Tools, Output Schema",
        says: "structured results are what the output schema says",
        test: ("server/tests/outside/tools.rs", "every_structured_result_is_what_its_output_schema_says"),
    },
];

/// Revision 2026-07-28.
pub(super) const STATELESS: &[Elsewhere] = &[
    Elsewhere {
        chapter: "Cancellation",
        says: "closing the stream cancels the call",
        test: (
            "server/tests/outside/stateless.rs",
            "closing_the_connection_cancels_the_call_and_that_is_recorded",
        ),
    },
    Elsewhere {
        chapter: "Cancellation",
        says: "a subscription that the server tears down is said to be cancelled",
        test: ("server/tests/outside/stateless/listening.rs", "the_server_says_good_bye_when_it_stops"),
    },
    Elsewhere {
        chapter: "Subscriptions",
        says: "the acknowledgement comes first, nothing is sent that was not asked for, and all of it names the subscription",
        test: (
            "server/tests/outside/stateless/listening.rs",
            "whoever_listens_is_told_of_a_new_balance_and_nobody_else_is",
        ),
    },
    Elsewhere {
        chapter: "Multi Round-Trip Requests, Server Requirements",
        says: "state is bound to the caller and the request, and good once",
        test: (
            "server/tests/outside/stateless/rounds.rs",
            "rule_08_a_state_is_worth_nothing_changed_spent_or_in_other_hands",
        ),
    },
    Elsewhere {
        chapter: "Multi Round-Trip Requests, Client Requirements",
        says: "the client gives the state back unread, under another id",
        test: (
            "client/tests/connection/stateless.rs",
            "a_person_is_asked_in_as_many_rounds_as_it_takes_and_the_state_goes_back_unread",
        ),
    },
    Elsewhere {
        chapter: "Streamable HTTP, Custom Headers",
        says: "clients repeat annotated parameters and drop tools whose annotations are wrong",
        test: (
            "client/tests/connection/stateless.rs",
            "annotated_arguments_are_repeated_in_headers_and_a_tool_with_wrong_annotations_is_dropped",
        ),
    },
    Elsewhere {
        chapter: "Overview, Result Responses",
        says: "a result of an unknown kind is invalid",
        test: ("client/tests/connection/stateless.rs", "a_result_of_an_unknown_kind_is_an_error"),
    },
    Elsewhere {
        chapter: "Caching",
        says: "a page is kept for its own request and credential",
        test: (
            "client/tests/connection/lists.rs",
            "a_list_is_kept_for_as_long_as_it_says_and_for_one_credential_alone",
        ),
    },
    Elsewhere {
        chapter: "Caching, Cache Key",
        says: "what came of several rounds is not kept",
        test: ("client/tests/connection/lists.rs", "what_came_of_several_rounds_is_not_kept"),
    },
    Elsewhere {
        chapter: "Caching, Interaction with Pagination",
        says: "a list whose cursor is not good any more is begun anew",
        test: (
            "client/tests/connection/lists.rs",
            "a_list_whose_cursor_is_not_good_any_more_is_begun_anew_once",
        ),
    },
    Elsewhere {
        chapter: "Resources, Error Handling",
        says: "a resource that is not there is an error, never an empty list",
        test: ("server/tests/outside/resources.rs", "what_is_not_there_is_told_by_one_error_in_each_era"),
    },
    Elsewhere {
        chapter: "Overview, JSON Schema Usage",
        says: "a $ref to the network is not followed",
        test: (
            "server/src/mcp/arguments.rs",
            "a_schema_that_refers_to_another_document_is_refused_and_nothing_is_fetched",
        ),
    },
];
