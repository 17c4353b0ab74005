//! `ordeal campaign` and `ordeal merge`: a matrix of tests, and the results of its shards joined.
//!
//! Each test is a command of its own, so what one does to its surroundings or its memory is
//! nothing to the next. What has ended stands in the ledger; the index, JUnit and the summary are
//! made of the ledger alone, so a campaign that was killed goes on, and shards can be joined.

mod drive;
mod file;
mod judge;
mod ledger;

use crate::calendar::Moment;
use crate::{duration, status, store};
use clap::Args;
use drive::How;
use file::{Campaign, Test};
use judge::{exit_status, judge};
use ledger::{Entry, Head, Ledger, LedgerError, Listed};
use ordeal_reports::{
    CampaignSummary, CampaignTest, Serving, Standing, campaign_junit, campaign_markdown,
    campaign_record,
};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options of `ordeal campaign`.
#[derive(Args, Clone, Debug)]
pub struct CampaignArgs {
    /// The campaign's file, such as campaigns/nightly.toml
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
    /// How long it may take: no test is begun that would not end in time [default: the file's]
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    pub budget: Option<Duration>,
    /// How many tests run at once [default: one for each two processors]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Run the K-th of N parts, such as 2/4; `ordeal merge` joins them
    #[arg(long, value_name = "K/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// The same, counted from 0, for jobs that are told an index
    #[arg(long, value_name = "K", requires = "shards", conflicts_with = "shard")]
    pub shard_index: Option<usize>,
    /// How many parts --shard-index counts in
    #[arg(long, value_name = "N", requires = "shard_index")]
    pub shards: Option<usize>,
    /// Where a binary of the file's [db] is, such as etcd-3.5=/opt/etcd; may be given several times
    #[arg(long, value_name = "NAME=PATH", value_parser = named_path)]
    pub db: Vec<(String, PathBuf)>,
    /// Leave out the tests whose binary is not there
    #[arg(long)]
    pub skip_missing: bool,
    /// Tell the tests, and run none
    #[arg(long)]
    pub dry_run: bool,
    /// The campaign's folder: a new one, or one of this campaign, which then goes on
    /// [default: runs/NAME/TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the newest campaign of this name
    #[arg(long, conflicts_with = "out")]
    pub resume: bool,
    /// Of earlier campaigns of this name keep so many whole; of those before, only what failed
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,
}

/// The options of `ordeal merge`.
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// The shards' folders
    #[arg(value_name = "DIR", required = true)]
    pub shards: Vec<PathBuf>,
    /// The folder for all of it, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// A part of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').map(|(number, of)| (number.parse(), of.parse()));
    match parts {
        Some((Ok(number), Ok(of))) if (1..=of).contains(&number) => Ok(Shard { number, of }),
        _ => Err(format!("expected a part such as 1/4, 2/4, 3/4 or 4/4, found `{text}`")),
    }
}

fn named_path(text: &str) -> Result<(String, PathBuf), String> {
    let wrong = || format!("expected a name and a path such as etcd=/usr/bin/etcd, found `{text}`");
    let (name, path) = text.split_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), PathBuf::from(path)))
}

/// Why a campaign ended without a verdict, and the exit status that says so.
struct Failure(String, u8);

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Failure {
        let status = match error {
            LedgerError::Io { .. } => status::SOFTWARE,
            _ => status::USAGE,
        };
        Failure(error.to_string(), status)
    }
}

/// Runs a campaign; gives the exit status.
pub fn run(args: &CampaignArgs) -> u8 {
    finish("campaign", try_run(args))
}

/// Joins shards; gives the exit status, that of the whole.
pub fn merge(args: &MergeArgs) -> u8 {
    finish("merge", try_merge(args))
}

fn finish(command: &str, result: Result<u8, Failure>) -> u8 {
    result.unwrap_or_else(|Failure(message, status)| {
        tell!("ordeal {command}: {message}");
        status
    })
}

fn try_run(args: &CampaignArgs) -> Result<u8, Failure> {
    let campaign =
        Campaign::load(&args.file).map_err(|error| Failure(error.to_string(), status::USAGE))?;
    let db = binaries(&campaign, args)?;
    let shard = asked_part(args)?;
    let tests = part(chosen(&campaign, &db), shard);
    if args.dry_run {
        for test in &tests {
            say!("{}", test.id);
        }
        return Ok(status::VALID);
    }
    let head = Head {
        campaign: campaign.name.clone(),
        shard: shard.map(|Shard { number, of }| format!("{number}/{of}")),
        tests: tests.iter().map(Listed::from).collect(),
    };
    let mut ledger = Ledger::open(&folder(&campaign, args)?, &head)?;
    let how = How {
        program: std::env::current_exe()
            .map_err(|error| Failure(format!("this program is not found: {error}"), 70))?,
        db,
        jobs: args.jobs.map_or_else(jobs, NonZeroUsize::get),
        budget: args.budget.or(campaign.budget),
        retries: campaign.retries,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure(format!("no runtime: {error}"), status::SOFTWARE))?;
    let ran = runtime.block_on(drive::drive(&tests, &how, &mut ledger))?;
    let judged = judge(&head, &ledger.entries);
    write(ledger.folder(), &campaign.name, &judged)?;
    print(ledger.folder(), &judged);
    if let Some(keep) = args.keep {
        prune(ledger.folder(), keep);
    }
    Ok(exit_status(&judged, ran.interrupted))
}

/// Two processors for each: a cluster and its clients are more than one keeps busy.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |count| (count.get() / 2).max(1))
}

/// Where each binary is that the campaign names, of those that are there.
fn binaries(
    campaign: &Campaign,
    args: &CampaignArgs,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut db = campaign.db.clone();
    for (name, path) in &args.db {
        if db.insert(name.clone(), path.clone()).is_none() {
            let known: Vec<&str> = campaign.db.keys().map(String::as_str).collect();
            let instead = crate::nearest::instead(name, &known);
            let message = format!("--db {name}: the campaign has no such binary{instead}");
            return Err(Failure(message, status::USAGE));
        }
    }
    for (name, path) in &mut db {
        if path.components().count() == 1
            && let Some(found) = on_path(path)
        {
            *path = found;
        }
        if !path.is_file() && !args.skip_missing {
            return Err(Failure(
                format!(
                    "{}: there is no {name} at {}; give its place with --db {name}=PATH, or leave \
                     its tests out with --skip-missing",
                    args.file.display(),
                    path.display()
                ),
                status::UNAVAILABLE,
            ));
        }
    }
    db.retain(|_, path| path.is_file());
    Ok(db)
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The tests whose binary is there; tells of the others.
fn chosen(campaign: &Campaign, db: &BTreeMap<String, PathBuf>) -> Vec<Test> {
    let is_there = |test: &Test| test.db.as_ref().is_none_or(|name| db.contains_key(name));
    let (there, missing): (Vec<Test>, Vec<Test>) = campaign.tests().into_iter().partition(is_there);
    if !missing.is_empty() {
        tell!("{} tests are left out, for their binary is not there", missing.len());
    }
    there
}

fn asked_part(args: &CampaignArgs) -> Result<Option<Shard>, Failure> {
    let (Some(index), Some(of)) = (args.shard_index, args.shards) else { return Ok(args.shard) };
    if index >= of {
        let message = format!(
            "--shard-index {index}: of {of} shards the last one is {}",
            of.saturating_sub(1)
        );
        return Err(Failure(message, status::USAGE));
    }
    Ok(Some(Shard { number: index + 1, of }))
}

/// Every N-th test: so each part has some of every row, and takes about as long.
fn part(tests: Vec<Test>, shard: Option<Shard>) -> Vec<Test> {
    match shard {
        None => tests,
        Some(Shard { number, of }) => tests.into_iter().skip(number - 1).step_by(of).collect(),
    }
}

fn folder(campaign: &Campaign, args: &CampaignArgs) -> Result<PathBuf, Failure> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    let all = Path::new("runs").join(&campaign.name);
    if !args.resume {
        return Ok(all.join(Moment::now().for_folder()));
    }
    earlier(&all).pop().ok_or_else(|| {
        let message = format!("--resume: there is no campaign in {}; leave it out", all.display());
        Failure(message, status::USAGE)
    })
}

/// The campaigns in a folder, the oldest first.
fn earlier(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> =
        entries.map(|it| it.path()).filter(|it| it.join("campaign.json").is_file()).collect();
    all.sort();
    all
}

/// What an index tells of the campaign whose folder this is; `None` when it is none, or cannot be
/// read.
pub fn summary(folder: &Path) -> Option<CampaignSummary> {
    let (head, entries) = ledger::read(folder).ok()?;
    // A folder that somebody named has its file's time, which a copy of it may have lost.
    let named = folder.file_name().and_then(|name| Moment::of_folder(name.to_str()?));
    let written = || std::fs::metadata(folder.join("campaign.json")).and_then(|it| it.modified());
    let began = named.or_else(|| written().ok().map(Moment::of));
    Some(CampaignSummary {
        tests: judge(&head, &entries),
        name: head.campaign,
        began_at: began.map(Moment::rfc3339).unwrap_or_default(),
        index: None,
    })
}

/// Writes what a CI and a person read.
fn write(folder: &Path, name: &str, tests: &[CampaignTest]) -> Result<(), LedgerError> {
    ledger::write(&folder.join("junit.xml"), &campaign_junit(name, tests))?;
    ledger::write(&folder.join("summary.md"), &campaign_markdown(name, tests))?;
    if let Some(record) = campaign_record(name, tests) {
        ledger::write(&folder.join("record.md"), &record)?;
    }
    let (runs, campaigns) = (store::runs(folder), store::campaigns(folder));
    let index = ordeal_reports::index(&runs, &campaigns, Serving::File);
    ledger::write(&folder.join("index.html"), &index)
}

fn print(folder: &Path, tests: &[CampaignTest]) {
    for test in tests.iter().filter(|test| test.standing > Standing::Skipped) {
        let CampaignTest { row, seeds, standing, reason, command, .. } = test;
        say!("{} {row}, seed {seeds}: {reason}\n  {command}", standing.word());
    }
    let count = |standing| tests.iter().filter(|test| test.standing == standing).count();
    let skipped = count(Standing::Skipped);
    say!(
        "{} of {} tests passed{}",
        count(Standing::Passed),
        tests.len() - skipped,
        if skipped == 0 { String::new() } else { format!(", and {skipped} were not run") }
    );
    say!("Index: {}", folder.join("index.html").display());
}

/// Takes away, of all but the newest `keep` campaigns beside this one, the runs that passed.
fn prune(folder: &Path, keep: usize) {
    let Some(all) = folder.parent().map(earlier) else { return };
    let before = all.len().saturating_sub(keep);
    for old in &all[..before] {
        let Ok((head, entries)) = ledger::read(old) else { continue };
        let tests = judge(&head, &entries);
        let passed = head.tests.iter().zip(&tests);
        for (listed, _) in passed.filter(|(_, test)| test.standing == Standing::Passed) {
            let Some(Entry { folder, .. }) = entries.get(&listed.id) else { continue };
            // What cannot be taken away now is tried after the next campaign.
            let _ = std::fs::remove_dir_all(old.join(folder));
        }
    }
}

fn try_merge(args: &MergeArgs) -> Result<u8, Failure> {
    let mut whole: Option<Head> = None;
    let mut entries = BTreeMap::new();
    for shard in &args.shards {
        let (head, found) = ledger::read(shard)?;
        let all =
            whole.get_or_insert_with(|| Head { shard: None, tests: Vec::new(), ..head.clone() });
        if all.campaign != head.campaign {
            let message = format!(
                "{}: this is of the campaign {}, and those before it of {}",
                shard.display(),
                head.campaign,
                all.campaign
            );
            return Err(Failure(message, status::USAGE));
        }
        if let Some(twice) = head.tests.iter().find(|test| all.tests.contains(test)) {
            let message = format!("{}: {} is in two of the shards", shard.display(), twice.id);
            return Err(Failure(message, status::USAGE));
        }
        all.tests.extend(head.tests);
        entries.extend(found.into_iter().map(|(id, entry)| (id, (shard.clone(), entry))));
    }
    let mut head = whole.ok_or_else(|| Failure("name the shards".to_owned(), status::USAGE))?;
    head.tests.sort_by(|a, b| a.id.cmp(&b.id));
    let mut ledger = Ledger::open(&args.out, &head)?;
    for (from, entry) in entries.into_values() {
        let to = args.out.join(&entry.folder);
        copy(&from.join(&entry.folder), &to)
            .map_err(|error| Failure(format!("{}: {error}", to.display()), status::SOFTWARE))?;
        ledger.enter(entry)?;
    }
    let judged = judge(&head, &ledger.entries);
    write(&args.out, &head.campaign, &judged)?;
    print(&args.out, &judged);
    Ok(exit_status(&judged, false))
}

/// Copies a run's folder, where it is still there.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let Ok(entries) = std::fs::read_dir(from) else { return Ok(()) };
    std::fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()? {
            kind if kind.is_dir() => copy(&from, &to)?,
            kind if kind.is_file() => drop(std::fs::copy(from, to)?),
            _ => {}
        }
    }
    Ok(())
}
