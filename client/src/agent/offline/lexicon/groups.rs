//! Words that mean the same, as far as choosing a tool goes.

use super::Concept;

/// One meaning and its words.
#[derive(Debug)]
pub(super) struct Group {
    /// The name of the meaning.
    pub(super) concept: Concept,
    /// It narrows a request and cannot be one by itself.
    pub(super) modifier: bool,
    /// Words that have it.
    pub(super) strong: &'static str,
    /// Words that may have it.
    pub(super) weak: &'static str,
}

const fn thing(concept: Concept, strong: &'static str, weak: &'static str) -> Group {
    Group { concept, modifier: false, strong, weak }
}

const fn modifier(concept: Concept, strong: &'static str) -> Group {
    Group { concept, modifier: true, strong, weak: "" }
}

/// All meanings.
pub(super) const GROUPS: &[Group] = &[
    thing(
        "balance",
        "balance balances bal balanse saldo funds overdrawn overdraft broke skint solvent",
        "money cash dosh dough left available remaining remainder total owe worth wealth standing credit savings debt positive negative",
    ),
    thing(
        "transaction",
        "transaction transactions txn txns tx trx transact transacted payment payments transfer transfers transferred \
         activity history statement statements purchase purchases purchased spending spent spend expense expenses \
         expenditure outgoings incomings movement movements debit debits paid pay sent send received receive bought \
         buy transactional",
        "money cash account moves",
    ),
    thing("price", "price prices cost costs fee fees rate rates tariff", "amount charge"),
    thing(
        "issue",
        "issue issues bug bugs ticket tickets defect defects",
        "problem problems task tasks story stories todo",
    ),
    thing("comment", "comment comments remark remarks reply replies", "note notes response"),
    thing(
        "weather",
        "weather temperature temperatures rain raining rainy sunny snow snowing windy hot cold warm umbrella",
        "degrees wind sun cloudy humid sky climate outside",
    ),
    thing("forecast", "forecast forecasts outlook prediction tomorrow", "upcoming ahead"),
    thing("file", "file files document documents doc docs attachment attachments", ""),
    thing("folder", "folder folders directory directories", ""),
    thing("message", "message messages email emails mail mails inbox", ""),
    thing("order", "order orders", ""),
    thing("customer", "customer customers client clients", ""),
    thing("product", "product products item items article articles goods", ""),
    thing("meeting", "meeting meetings appointment appointments event events calendar agenda", "schedule"),
    thing("person", "user users person people member members employee employees colleague colleagues", ""),
    thing("place", "city cities town towns place places location locations", ""),
    thing("city-or-country", "country countries nation nations", ""),
    thing("repository", "repository repositories repo repos project projects", ""),
    thing("contact", "contact contacts payee payees beneficiary recipient recipients", ""),
    thing("profile", "profile username", ""),
    modifier("latest", "latest recent recently last newest lately new previous"),
    modifier("all", "all every each entire full whole complete everything ever entirety always"),
    modifier("now", "current currently today present presently tonight"),
    modifier("when", "when date dates day days time timestamp created"),
    modifier("who", "who whom whose from to sender recipient author assignee payee person reporter owner"),
    modifier("where", "where location place city"),
    modifier("search", "search find lookup seek query match matching"),
    modifier("create", "create add make new open raise file submit"),
    modifier("update", "update change edit modify set amend alter"),
    modifier("delete", "delete remove erase"),
    modifier("close", "close resolve finish complete shut"),
    modifier("cancel", "cancel void abort"),
    modifier("assign", "assign give allocate delegate"),
    modifier("status", "status state"),
    modifier("much", "amount balance total sum price cost value worth"),
];
