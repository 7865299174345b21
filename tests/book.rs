//! The book in docs/: its links lead somewhere, its table of contents is whole, and what it shows is run.
//!
//! What is done with a block of a page is said behind its language. The blocks of one page share a folder, and are done in
//! their order.
//!
//! | block | |
//! |---|---|
//! | `sh,run` | runs; it has to end with 0 |
//! | `sh,run,root` | runs where the tests may watch this machine |
//! | `text,prints` | what the last such block printed has these lines; `…` stands for anything, alone in a line for any lines |
//! | `sh,watch` | starts a Lanner that watches while the rest of the page runs |
//! | `text,alert` | its standard output gets this line |
//! | `yaml,rules` | rules; `lanner -V` has to accept them without a warning |
//! | `yaml,config` | a configuration; `lanner --dry-run` has to accept it without a warning |
//! | `yaml,values` | values of the Helm chart, which has to accept them |
//! | `yaml,other` | another program's |
//! | `…,file=NAME` | the file is written under this name |

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::lanner::{self, Lanner};
use support::{machine_dir, repository, skip};

/// The pages of the repository that people read, from its root.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, pages: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                walk(&path, pages);
            } else if name.ends_with(".md") {
                pages.push(path.strip_prefix(repository()).unwrap().to_owned());
            }
        }
    }
    let mut pages = Vec::new();
    walk(&repository(), &mut pages);
    pages.sort();
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

/// A fenced block.
struct Block {
    page: PathBuf,
    line: usize,
    /// What is said behind the fence.
    words: Vec<String>,
    text: String,
}

impl Block {
    fn is(&self, language: &str, word: &str) -> bool {
        self.words[0] == language && self.words[1..].iter().any(|w| w == word)
    }

    /// The name it is to have as a file, and for messages.
    fn file(&self) -> String {
        let named = self.words.iter().find_map(|word| word.strip_prefix("file="));
        named.map_or_else(|| format!("line-{}.yaml", self.line), str::to_owned)
    }

    fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    page: page.to_owned(),
                    line: index + 1,
                    words: info.split(',').map(|word| word.trim().to_owned()).collect(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{} ends in a block", page.display());
    blocks
}

/// The text without its blocks and without code in a line.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let lines = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    });
    let mut prose = String::new();
    for line in lines {
        prose.extend(line.split('`').step_by(2));
        prose.push('\n');
    }
    prose
}

/// What a heading is called in an address.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let headings = text.lines().filter(|line| {
        in_block ^= line.starts_with("```");
        !in_block && line.starts_with('#')
    });
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let file = repository().join(&page);
        let text = fs::read_to_string(&file).unwrap();
        for link in prose(&text).split("](").skip(1) {
            let target = link.split([')', ' ']).next().unwrap();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let there = if path.is_empty() {
                file.clone()
            } else {
                file.with_file_name("").join(path)
            };
            let known = there.exists()
                && (fragment.is_empty()
                    || anchors(&fs::read_to_string(&there).unwrap_or_default()).contains(fragment));
            if !known {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_table_of_contents_has_every_page_once() {
    let summary = fs::read_to_string(repository().join("docs/SUMMARY.md")).unwrap();
    let mut listed: Vec<String> = summary
        .split("](")
        .skip(1)
        .map(|link| format!("docs/{}", link.split(')').next().unwrap()))
        .collect();
    listed.sort();
    let pages = pages().into_iter().map(|page| page.to_str().unwrap().to_owned());
    let there: Vec<String> = pages
        .filter(|page| page.starts_with("docs/") && page != "docs/SUMMARY.md")
        .collect();
    let missing: Vec<&String> = there.iter().filter(|page| !listed.contains(page)).collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md has no line for {missing:?}");
    assert_eq!(
        listed.len(),
        there.len(),
        "a page is listed twice, or is not there: {listed:?}"
    );
}

#[test]
fn every_yaml_block_is_tried_or_said_to_be_anothers() {
    for page in pages() {
        for block in blocks(&page) {
            let known = ["rules", "config", "values", "other"];
            let named = block
                .words
                .iter()
                .any(|word| known.contains(&word.as_str()) || word.starts_with("file="));
            assert!(
                block.words[0] != "yaml" || named,
                "{}: say what it is",
                block.place()
            );
        }
    }
}

#[test]
fn what_the_pages_show_is_so() {
    let _alone = support::alone();
    let mut tried = 0;
    for page in pages() {
        let blocks = blocks(&page);
        if blocks.iter().any(|block| block.words.len() > 1) {
            tried += Folder::new(&page).run(&blocks);
        }
    }
    assert!(tried > 20, "{tried}");
}

/// Where the blocks of a page are done.
struct Folder {
    folder: tempfile::TempDir,
    /// The last block that ran, when it did, and what it printed.
    script: String,
    asked: Instant,
    printed: String,
    watching: Option<Lanner>,
    can_watch: bool,
}

impl Folder {
    fn new(page: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bin/lanner");
        fs::create_dir_all(program.with_file_name("")).unwrap();
        // A Lanner that watches must not meet the other Lanners of this machine, nor be met by them.
        let run = folder.path().join("run");
        let options = lanner::options(None).into_iter().filter(|option| option != "-o");
        let mut options: Vec<String> = options
            .filter(|option| !option.starts_with("json_output") && !option.starts_with("runtime_directory"))
            .map(|option| format!("-o {option}"))
            .collect();
        options.push(format!("-o runtime_directory={}", run.display()));
        let text = format!(
            "#!/bin/sh\ncase ${{1:-}} in status|containers) exec {0} \"$@\" --socket {1} ;; [a-z]*) exec {0} \"$@\" ;; esac\n\
             exec {0} ${{WATCHING:+{2}}} \"$@\"\n",
            lanner::PROGRAM,
            run.join("lanner.sock").display(),
            options.join(" ")
        );
        support::script(&program, &text);
        let reason = lanner::impossible();
        if let Some(reason) = &reason {
            skip(&format!("blocks of {} that watch: {reason}", page.display()));
        }
        Self {
            folder,
            script: String::new(),
            asked: Instant::now(),
            printed: String::new(),
            watching: None,
            can_watch: reason.is_none(),
        }
    }

    fn run(mut self, blocks: &[Block]) -> usize {
        let tried = blocks.iter().filter(|block| self.block(block)).count();
        if let Some(lanner) = self.watching {
            assert_eq!(lanner.stop().status.code(), Some(0));
        }
        tried
    }

    /// Does what a block asks for, and says whether it asked for anything.
    fn block(&mut self, block: &Block) -> bool {
        let place = block.place();
        let needs_root = block.is("sh", "root") || block.is("sh", "watch") || block.is("text", "alert");
        if needs_root && !self.can_watch {
            return false;
        }
        if block.words[0] == "yaml" {
            let file = self.folder.path().join(block.file());
            fs::write(&file, &block.text).unwrap();
            if block.is("yaml", "rules") {
                self.accepted(block, &["-V", &block.file()]);
            } else if block.is("yaml", "config") {
                self.accepted(block, &["--dry-run", "-c", &block.file()]);
            } else if block.is("yaml", "values") {
                render(block, &file);
            }
        } else if block.is("sh", "run") {
            let output = self.command(&block.text).output().unwrap();
            (self.script, self.asked) = (block.text.clone(), Instant::now());
            let (out, err) = (
                String::from_utf8(output.stdout).unwrap(),
                String::from_utf8_lossy(&output.stderr),
            );
            assert!(
                output.status.success(),
                "{place}: {}\n{out}\n{err}",
                output.status
            );
            self.printed = out;
        } else if block.is("text", "prints") {
            let (wanted, printed) = (lines(&block.text), lines(&self.printed));
            let found = (0..printed.len()).any(|from| begins(&printed[from..], &wanted));
            assert!(found, "{place}: it printed\n{}", self.printed);
        } else if block.is("sh", "watch") {
            let mut command = self.command(&format!("exec {}", block.text.trim()));
            command.env("WATCHING", "1");
            self.watching = Some(Lanner::start_command(command));
        } else if block.is("text", "alert") {
            let watching = self.watching.as_ref();
            let watching = watching.unwrap_or_else(|| panic!("{place}: nobody watches"));
            let wanted = block.text.trim_end();
            let mut asked = self.asked;
            support::wait_for(&format!("{place}: {wanted}"), Duration::from_secs(120), || {
                let printed = watching.printed();
                let found = printed.lines().any(|line| fits(line, wanted)).then_some(());
                if found.is_none() && asked.elapsed() > Duration::from_secs(5) {
                    // On a busy machine an event may be lost, and counted.
                    asked = Instant::now();
                    assert!(
                        self.command(&self.script).output().unwrap().status.success(),
                        "{place}"
                    );
                }
                found
            });
        } else {
            return false;
        }
        true
    }

    fn command(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.folder.path())
            .env(
                "PATH",
                format!("{}:{path}", self.folder.path().join("bin").display()),
            );
        command
    }

    /// Lanner accepts a file.
    fn accepted(&self, block: &Block, arguments: &[&str]) {
        let output = Command::new(lanner::PROGRAM)
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let fine = output.status.success()
            && !said.contains("warning[")
            && !said.contains("with warnings")
            && !said.contains(" WARN ");
        assert!(fine, "{}: {said}", block.place());
    }
}

/// The chart accepts these values.
fn render(block: &Block, values: &Path) {
    let output = Command::new(repository().join("tests/machine/chart.sh"))
        .arg("render")
        .arg(values)
        .env("LANNER_MACHINE_DIR", machine_dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(77) => skip(&format!(
            "{}: {}",
            block.place(),
            said.trim_start_matches("skipped: ")
        )),
        code => assert_eq!(code, Some(0), "{}: {said}", block.place()),
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// Whether lines begin as a pattern says.
fn begins(lines: &[&str], pattern: &[&str]) -> bool {
    match pattern {
        [] => true,
        ["…", rest @ ..] => (0..=lines.len()).any(|from| begins(&lines[from..], rest)),
        [first, rest @ ..] => {
            lines.first().is_some_and(|line| fits(line, first)) && begins(&lines[1..], rest)
        }
    }
}

/// Whether a line is as a pattern says, but for spaces at its end.
fn fits(line: &str, pattern: &str) -> bool {
    let (line, pattern) = (line.trim_end(), pattern.trim_end());
    let mut parts = pattern.split('…');
    let Some(mut left) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = left.find(part) else {
            return false;
        };
        last = Some(part);
        left = &left[at + part.len()..];
    }
    // After the last `…` there may be anything, or exactly what stands there.
    match last {
        None => left.is_empty(),
        Some(part) => part.is_empty() || line.ends_with(part),
    }
}

#[test]
fn patterns_are_understood() {
    assert!(
        fits("abc", "abc")
            && fits("abc", "a…c")
            && fits("abc", "…")
            && fits("abc", "ab…")
            && fits("a", "a  ")
    );
    assert!(!fits("abc", "ab") && !fits("abc", "a…d") && !fits("abcd", "a…c") && !fits("abc", "b…"));
    let printed = ["one", "two", "three"];
    assert!(begins(&printed, &["one", "…", "three"]) && begins(&printed, &["one"]));
    assert!(!begins(&printed, &["two"]) && !begins(&printed, &["one", "three"]));
    assert_eq!(
        anchor("## What of a rule: `lanner` sees"),
        "what-of-a-rule-lanner-sees"
    );
}
