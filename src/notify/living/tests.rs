//! Every case of a message's life, in tables.

use super::*;
use crate::model::delivery::MessageRef;
use crate::model::living::Place;
use crate::model::voice::Voice;
use crate::notify::testing::delivery;

const ALL: Abilities = Abilities {
    edits: true,
    deletes: true,
    replies: true,
    places: true,
    keyed: false,
};
const NONE: Abilities = Abilities {
    edits: false,
    deletes: false,
    replies: false,
    places: false,
    keyed: false,
};

/// An event of an incident with that state, whose change is number 7.
fn event(state: IncidentState, severity: Severity) -> Leased {
    let mut leased = delivery("ops");
    let incident = leased.incident.as_mut().expect("it has one");
    incident.state = state;
    incident.severity = severity;
    incident.seq = 7;
    leased
}

fn living(seq: u64) -> Living {
    Living {
        message: Some(MessageRef::new("42")),
        seq,
        severity: Severity::Warning,
        created_at: crate::clock::Wall::default(),
        digest: "before".to_owned(),
        settings: "same".to_owned(),
    }
}

fn policy(on_resolve: OnResolve) -> ChatPolicy {
    ChatPolicy {
        on_resolve,
        thread: Thread::None,
    }
}

fn decide(leased: &Leased, abilities: Abilities, policy: &ChatPolicy) -> String {
    let decided = plan(&Situation {
        leased,
        abilities,
        policy,
        settings: "same",
        digest: "after",
    });
    match decided {
        Plan::Nothing(why) => why.to_owned(),
        Plan::Tell { moves, notes } if notes.is_empty() => format!("{moves:?}"),
        Plan::Tell { moves, notes } => format!("{moves:?} {}", notes.join("; ")),
    }
}

#[test]
fn what_is_open_is_sent_once_and_edited_from_then_on() {
    let usual = ChatPolicy::default();
    let mut leased = event(IncidentState::Open, Severity::Warning);
    assert_eq!(decide(&leased, ALL, &usual), "[Create]");
    for (seq, expected) in [
        (6, "[Edit]"),
        (7, "something newer was told"),
        (8, "something newer was told"),
    ] {
        leased.known.living = Some(living(seq));
        assert_eq!(decide(&leased, ALL, &usual), expected, "{seq}");
    }
    leased.known.living = Some(living(6));
    assert_eq!(decide(&leased, NONE, &usual), "[Create]");
    leased.known.living = Some(Living {
        digest: "after".to_owned(),
        ..living(6)
    });
    assert_eq!(decide(&leased, ALL, &usual), "it says so already");
    leased.known.living = Some(Living {
        message: None,
        ..living(6)
    });
    assert_eq!(decide(&leased, ALL, &usual), "[Create]", "it has no id");
    leased.known.living = Some(Living {
        settings: "others".to_owned(),
        ..living(6)
    });
    assert_eq!(decide(&leased, ALL, &usual), "[Create]", "it is elsewhere");
}

#[test]
fn what_gets_critical_is_heard_though_edits_are_silent() {
    let usual = ChatPolicy::default();
    let mut leased = event(IncidentState::Open, Severity::Critical);
    leased.known.living = Some(living(6));
    assert_eq!(decide(&leased, ALL, &usual), "[Edit, Answer]");
    leased.known.living = Some(Living {
        severity: Severity::Critical,
        ..living(6)
    });
    assert_eq!(decide(&leased, ALL, &usual), "[Edit]", "it was heard");
}

#[test]
fn the_end_is_told_as_the_configuration_wants_it_and_the_service_can() {
    let mut leased = event(IncidentState::Resolved, Severity::Critical);
    leased.known.living = Some(living(6));
    for (on_resolve, all, none) in [
        (OnResolve::Edit, "[Edit]", "[Create]"),
        (OnResolve::EditAndReply, "[Edit, Answer]", "[Create]"),
        (OnResolve::New, "[Create]", "[Create]"),
        (OnResolve::Delete, "[Delete]", "[Create]"),
    ] {
        let policy = policy(on_resolve);
        assert_eq!(decide(&leased, ALL, &policy), all, "{on_resolve:?}");
        assert_eq!(decide(&leased, NONE, &policy), none, "{on_resolve:?}");
    }
}

#[test]
fn an_end_whose_beginning_was_never_told_says_so() {
    let mut leased = event(IncidentState::Resolved, Severity::Warning);
    let said = format!("[Create] {UNTOLD}");
    for on_resolve in [OnResolve::Edit, OnResolve::EditAndReply, OnResolve::New] {
        assert_eq!(decide(&leased, ALL, &policy(on_resolve)), said);
    }
    let delete = policy(OnResolve::Delete);
    let nothing = "it was over before it could be told";
    assert_eq!(decide(&leased, ALL, &delete), nothing);
    assert_eq!(decide(&leased, NONE, &delete), said);
    // Told by a version that kept no messages.
    leased.known.living = Some(Living {
        message: None,
        settings: String::new(),
        ..living(0)
    });
    assert_eq!(decide(&leased, ALL, &ChatPolicy::default()), "[Create]");
}

#[test]
fn a_possible_double_is_marked_where_it_could_be_one() {
    let usual = ChatPolicy::default();
    let mut leased = event(IncidentState::Open, Severity::Warning);
    leased.known.is_doubtful = true;
    assert_eq!(decide(&leased, ALL, &usual), format!("[Create] {DOUBTFUL}"));
    let keyed = Abilities { keyed: true, ..ALL };
    assert_eq!(decide(&leased, keyed, &usual), "[Create]");
    leased.known.living = Some(living(6));
    assert_eq!(
        decide(&leased, ALL, &usual),
        "[Edit]",
        "edits can be repeated"
    );
    leased.incident = None;
    assert_eq!(decide(&leased, ALL, &usual), format!("[Create] {DOUBTFUL}"));
}

#[test]
fn a_place_is_made_when_it_is_wanted_and_not_known() {
    let per_program = ChatPolicy {
        on_resolve: OnResolve::Edit,
        thread: Thread::PerProgram,
    };
    let mut leased = event(IncidentState::Open, Severity::Warning);
    assert_eq!(decide(&leased, ALL, &per_program), "[Open, Create]");
    assert_eq!(decide(&leased, NONE, &per_program), "[Create]");
    let place = |settings: &str| Place {
        program: "web".into(),
        id: "17".to_owned(),
        settings: settings.to_owned(),
    };
    leased.known.place = Some(place("same"));
    assert_eq!(decide(&leased, ALL, &per_program), "[Create]");
    leased.known.place = Some(place("others"));
    assert_eq!(decide(&leased, ALL, &per_program), "[Open, Create]");
    leased.event.instance = None;
    assert_eq!(decide(&leased, ALL, &per_program), "[Create]");
}

#[test]
fn messages_that_differ_in_their_event_alone_say_the_same() {
    let one = event(IncidentState::Open, Severity::Warning);
    let mut same = one.clone();
    same.event.id = crate::ids::EventId::new();
    let mut other = one.clone();
    other.event.facts.restarts = Some(99);
    let of = |leased: &Leased| digest(&Message::of(leased, "box-1", &Voice::PLAIN));
    assert_eq!(of(&one), of(&same));
    assert_ne!(of(&one), of(&other));
}
