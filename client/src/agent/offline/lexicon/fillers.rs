//! Closed lists of English: words without a request of their own, and words that change what is asked.

/// Words that hold a sentence together, are polite, or ask to be shown something.
pub(super) const FILLERS: &[&str] = &[
    "to from a an the this that these those some any there here it its itself",
    "i me my mine myself we our ours us am is are was were be been being do does did doing done have has had having got get getting",
    "can could would will shall should might must",
    "what which whats of on in for about with at as by into onto upon like regarding concerning out up",
    "and or so then also too but well ok okay oh ah um uh er hmm hm yes yeah yep right alright anyway",
    "please kindly thanks thank thx ta cheers hello hi hey hiya yo howdy greetings dear morning afternoon evening good",
    "mate buddy pal bro dude man friend sir madam guys folks bot assistant computer robot",
    "you want wanna need wish wondering wonder wondered curious interested know knowing tell say help let us try",
    "show showing shown see seeing view viewing look looking looks display give giving list listing check checking",
    "read reading fetch pull bring return retrieve present print run find review inspect glance peek grab hand",
    "just now really actually exactly quickly quick quickly again maybe perhaps possibly simply basically kind kinda",
    "bit little moment second sec minute possible able happy glad love great nice cool awesome sure favour favor",
    "information detail details data thing things stuff overview rundown summary picture idea question request",
    "ones made make making use using happen happened happening happens go going went gone come coming came",
    "few several handful couple most very quite pretty only own however such rather still yet already",
    "exact precise mean means meant say says said hope hoping",
    "call called named entitled saying contain concern ago once straight away soon asap urgently",
    "dig dug scroll old deal story damage situation look state sitting lol haha hahaha",
];

/// Fillers that may stand in an order. Any other word in one, even "maybe" or "about", leaves doubt what is ordered.
pub(super) const FILLERS_OF_ORDERS: &str = "please kindly thanks thank thx ta cheers hello hi hey hiya yo dear mate ok okay \
                                            yes yeah right alright you i me us we want wanna need like wish can could \
                                            would will let help go ahead to a an the this of with for on in and now \
                                            just quickly then called named entitled saying say says with is have got \
                                            from by as so request";

/// Words that speak of somebody else than the person who asks.
pub(super) const FOREIGN: &str = "he him his she her hers they them their theirs your yours yourself someone somebody \
                                  everyone everybody anyone anybody nobody other others another people";

/// Words around money that need no explanation next to it.
pub(super) const SURROUNDINGS: &str = "account accounts bank banking online personal money cash wallet finances financial past pocket purse kitty";

/// Nouns and verbs of which the singular does not mean one.
pub(super) const NOT_ONE: &str = "activity history spending spend spent expenditure money cash stuff paid pay sent send \
                                  received receive bought buy purchased transferred account balance weather \
                                  information data transact transacted";

/// Words that ask for a part of a list, or for a figure over it.
pub(super) const PARTIAL: &str = "spent spend spending expense expenses expenditure bought buy paid pay sent send \
                                  received receive outgoings incomings debit debits purchase purchases purchased \
                                  incoming outgoing many out in";

/// Words that say when something is to be done, how often, on what condition, or how much less of it.
pub(super) const CONDITIONS: &str = "unless when whenever once while whilst till upon provided providing supposing assuming \
                                     given granted pending awaiting following subject conditional contingent should \
                                     whether otherwise else instead rather unlike later soon eventually hourly daily \
                                     nightly weekly biweekly semiweekly fortnightly monthly bimonthly semimonthly \
                                     quarterly yearly biyearly annually biannually semiannually biennially twice \
                                     thrice recurring regularly repeatedly apiece less minus excluding barring";

/// Words that are spelled rightly and mean nothing to the planner: they are not mended into others.
pub(super) const KNOWN: &str = "month months monday tuesday wednesday thursday friday saturday sunday january february \
                                march april august september october november december yesterday week weeks year \
                                years euros dollars pounds pence cents count counts counted sales charge change whether \
                                first third fourth fifth sixth because before after since until between under above \
                                never without except where there their about shown sense least highest lowest largest \
                                biggest smallest average number numbers limit limits total amount amounts value \
                                whist grated provide provider proving latter lager lagers layer layers laser lasers latex liter \
                                lather dairy dailey dally menus minos mines gives giver white whale whine spoon leases \
                                twine thrive baring barging barking";
