//! Calls that leave no file behind: what they worked on is known although nothing leads there any more.

use crate::scene::{Scene, c, made, text};
use crate::support::skip;

/// A link is made, used, and leads elsewhere when the call has returned. That takes who looks while the call has the directory in
/// its hands.
#[test]
fn a_link_that_is_used_at_once_leads_where_it_led_in_the_call() {
    if std::env::var("LANNER_TEST_TIER").as_deref() != Ok("trampoline") {
        return skip("such a link is known in tier trampoline only");
    }
    let changed = (
        "Changed",
        "proc.name = NAME and evt.rawres = 0 and
         ((evt.type = mkdir and evt.arg.path = FOLDER/secret/new) or
          (evt.type = unlink and evt.arg.path = FOLDER/secret/file) or
          (evt.type = chmod and evt.arg.filename = FOLDER/secret/program) or
          (evt.type = rename and evt.arg.oldpath = FOLDER/secret/program and evt.arg.newpath = FOLDER/secret/other))",
        "%evt.type",
    );
    let Some(scene) = Scene::start("ev-atonce", &[changed]) else {
        return;
    };
    let (secret, innocent, link) = (
        scene.path("secret"),
        scene.path("innocent"),
        c(&scene.path("link")),
    );
    for folder in [&secret, &innocent] {
        std::fs::create_dir(folder).unwrap();
        for file in ["file", "program"] {
            std::fs::write(format!("{folder}/{file}"), "").unwrap();
        }
    }
    let by_link = |name: &str| c(&scene.path(&format!("link/{name}")));
    let [new, file, program, other] = ["new", "file", "program", "other"].map(by_link);
    let (secret, innocent) = (c(&secret), c(&innocent));
    scene.act(|| {
        let calls: [&[i64]; 4] = [
            &[libc::SYS_mkdir, text(&new), 0o700],
            &[libc::SYS_unlink, text(&file)],
            &[libc::SYS_chmod, text(&program), 0o4755],
            &[libc::SYS_rename, text(&program), text(&other)],
        ];
        for call in calls {
            made(libc::SYS_symlink, &[text(&secret), text(&link)]);
            made(call[0], &call[1..]);
            made(libc::SYS_unlink, &[text(&link)]);
            made(libc::SYS_symlink, &[text(&innocent), text(&link)]);
            made(libc::SYS_unlink, &[text(&link)]);
        }
        vec![]
    });
    for event in ["mkdir", "unlink", "chmod", "rename"] {
        scene.says("Changed", event);
    }
    scene.end();
}
