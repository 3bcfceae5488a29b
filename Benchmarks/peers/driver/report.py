"""Comparison.md and its pictures, from raw files."""
import os

import plot
from results import Campaign, mean, merged, modes, ratio
from roster import PEERS, TITLES

_HEADINGS = {"infer": "Inference", "train": "Training"}


def write(paths, output):
    """Writes the report of campaigns; the paths of what was written. Campaigns of one processor, instruction set and
    number of threads share a section, in the order in which they are given."""
    settings = {}
    for path in paths:
        campaign = Campaign(path)
        settings.setdefault(campaign.setting, []).append(campaign)
    page, written = [_OPENING], []
    for (processor, isa, threads), campaigns in settings.items():
        best = merged(campaigns)
        section = [f"## {isa}, {'one thread' if threads == 1 else f'{threads} threads'}", _described(campaigns, output)]
        if best:
            picture = output / "Pictures" / f"peers-{campaigns[0].path.stem}.svg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_text(plot.svg(best, f"{isa}, {'one thread' if threads == 1 else f'{threads} threads'}"))
            written.append(picture)
            section += [f"![How many times as long the peers take](Pictures/{picture.name})", _means(best, campaigns)]
            section += [_table(mode, best, campaigns) for mode in modes(best)]
        section += [_memory(campaigns), _failures(campaigns)]
        page += [part for part in section if part]
    target = output / "Comparison.md"
    target.write_text("\n\n".join(page) + "\n")
    return [target] + written


_OPENING = """# Beside PyTorch, ONNX Runtime and oneDNN

Written by `Benchmarks/peers/compare`; [Peers.md](Peers.md) says how it measures and what to be wary of. Milliseconds
are minima over all rounds. A ratio is the fastest peer's time over ours: above 1 ours is faster."""


def _described(campaigns, output):
    """Machine and versions of the first campaign; of each, its command, date, commit and raw data."""
    first = campaigns[0].description
    names = ", ".join(campaigns[0].names.get(key, "") for key in PEERS if key in campaigns[0].names)
    lines = [
        f"{first['processor']}, {first['caches']}, {first['cores']} cores; {first['system']}. {first['swift']}. "
        f"{first['compiler']}. Peers: {names}."]
    if first["environment"]:
        lines[0] += " Peers are kept to the instruction set by " + ", ".join(
            f"`{name}={value}`" for name, value in first["environment"].items()) + "."
    for number, campaign in enumerate(campaigns, 1):
        d = campaign.description
        raw = os.path.relpath(campaign.path, output)
        lines.append(
            f"{number}. {d['date']}, commit {d['commit']}, load {d['load']:.2f} before: `{d['command']}` "
            f"([raw data]({raw}))")
    return lines[0] + "\n\n" + "\n".join(lines[1:])


def _rows(table):
    """Markdown of a table whose first row is its head."""
    lines = ["| " + " | ".join(cells) + " |" for cells in table]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return "\n".join(lines)


def _means(best, campaigns):
    present = [key for key in PEERS if any(key in times for times in best.values())]
    table = [["geometric mean", "rows", "fastest peer / ours", "ours ahead"]]
    table[0] += [f"{TITLES[key]} / ours" for key in present]
    if len(campaigns) > 1:
        table[0] += [f"in campaign {number}" for number in range(1, len(campaigns) + 1)]
    for mode in modes(best):
        found = mean(best, mode)
        if found is None:
            continue
        value, count, ahead = found
        line = [mode, str(count), f"**{value:.3f}**", f"{ahead} of {count}"]
        line += [_mean_of(mean(best, mode, key)) for key in present]
        if len(campaigns) > 1:
            line += [_mean_of(mean(campaign.best, mode)) for campaign in campaigns]
        table.append(line)
    return _rows(table) + "\n\nA peer's own mean is over the rows that it has."


def _mean_of(found):
    return f"{found[0]:.3f}" if found else ""


def _table(mode, best, campaigns):
    present = [key for key in PEERS if any(key in times for row, times in best.items() if row.mode == mode)]
    table = [["cell", "T, B, I, H", "ours, ms", "GFLOP/s"] + [f"{TITLES[key]}" for key in present] + ["ratio"]]
    if len(campaigns) > 1:
        table[0] += [f"ratio in {number}" for number in range(1, len(campaigns) + 1)]
    for row, times in best.items():
        if row.mode != mode:
            continue
        fastest = min((ms for key, ms in times.items() if key != "ours"), default=None)
        line = [row.cell, ", ".join(map(str, row.shape))]
        line += [_ms(times["ours"]), f"{row.flops / times['ours'] / 1e6:.1f}"] if "ours" in times else ["", ""]
        for key in present:
            cell = _ms(times[key]) if key in times else ""
            line.append(f"**{cell}**" if cell and times[key] == fastest else cell)
        line.append(_ratio(ratio(times)))
        if len(campaigns) > 1:
            line += [_ratio(ratio(campaign.best.get(row, {}))) for campaign in campaigns]
        table.append(line)
    return f"### {_HEADINGS[mode]}\n\nMilliseconds; the fastest peer is bold.\n\n" + _rows(table)


def _ms(value):
    return f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def _ratio(value):
    return f"{value:.3f}" if value else ""


def _memory(campaigns):
    rows = {row: answers for campaign in campaigns for row, answers in campaign.memory.items()}
    if not rows:
        return ""
    table = [["cell", "T, B, I, H", "measured", "MiB", "of which tape", "PyTorch, MiB", "ratio",
              "baselines: ours, PyTorch"]]
    for row, answers in rows.items():
        # Campaigns from before tapes that keep fewer steps have no answers of one. Where all of ours failed, PyTorch's
        # figure still has its line.
        ours = [answers[key] for key in ("ours", "ours-keeping") if key in answers] or [None]
        table += [_memory_line(row, answer, answers.get("torch")) for answer in ours]
    return ("### Memory\n\nPeak resident memory of one training step: a process that runs it, less one that only "
            "starts or imports the library. A tape that keeps some of the steps runs the others again on the way back, "
            "with the same results.\n\n" + _rows(table))


def _memory_line(row, ours, torch):
    net = [(answer["peak_bytes"] - answer["baseline_bytes"]) / 2**20 if answer else None for answer in (ours, torch)]
    base = [f"{answer['baseline_bytes'] / 2**20:.0f}" if answer else "" for answer in (ours, torch)]
    kept = f", keeping {ours['keeping']} of {row.shape[0]} steps" if ours and "keeping" in ours else ""
    return [
        row.cell, ", ".join(map(str, row.shape)), f"ours{kept}" if ours else "", _mebibytes(net[0]),
        _mebibytes(ours["tape_bytes"] / 2**20) if ours else "", _mebibytes(net[1]),
        f"{net[1] / net[0]:.2f}" if all(net) else "", ", ".join(base)]


def _mebibytes(value):
    return f"{value:.1f}" if value else ""


def _failures(campaigns):
    sentences = [f"- {sentence}" for campaign in campaigns
                 for sentence in [*campaign.failures, *campaign.unfinished]]
    return "### Not measured, or not wholly\n\n" + "\n".join(sentences) if sentences else ""
