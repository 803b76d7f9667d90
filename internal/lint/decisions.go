package lint

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	decisionsDir      = "docs/adr"
	maxDecisionLines  = 80 // one page
	decisionsFormHint = "ADR 1 defines the form of a decision page"
)

var (
	decisionFile  = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)
	decisionTitle = regexp.MustCompile(`^# (\d+)\. (.+)$`)
	statusLine    = regexp.MustCompile(`^\*\*Status:\*\* (accepted|superseded by \[ADR (\d+)\]\((\d{4})-[^)]+\))$`)
	supersedes    = regexp.MustCompile(`(?m)^\*\*Supersedes:\*\* (.+)$`)
)

// page is one decision.
type page struct {
	title        string
	supersededBy int   // 0: still valid
	supersedes   []int // the decisions that this one replaces
}

// Decisions checks that the pages in docs/adr have the form that ADR 1 defines: numbers without gaps, title, status,
// context, decision and consequences in this order, on one page. A page that is superseded and the one that supersedes
// it must name each other, and the index must name all.
func (t *Tree) Decisions() []Finding {
	var found []Finding
	pages := map[int]page{}
	for _, name := range slices.Sorted(maps.Keys(t.pages)) {
		if path.Dir(name) != decisionsDir || path.Base(name) == "README.md" {
			continue
		}
		number, p, wrong := parseDecision(path.Base(name), t.pages[name])
		for _, what := range wrong {
			found = append(found, Finding{name, what, decisionsFormHint})
		}
		if _, twice := pages[number]; twice && number != 0 {
			found = append(found, Finding{name, fmt.Sprintf("there are two pages with the number %d", number), "give the later one the next free number"})
		}
		pages[number] = p
	}
	delete(pages, 0)
	for n := range pages {
		found = append(found, supersession(n, pages)...)
		if _, before := pages[n-1]; n > 1 && !before {
			found = append(found, Finding{decisionsDir, fmt.Sprintf("there is a page %d and no page %d", n, n-1), "numbers have no gaps"})
		}
	}
	found = append(found, t.decisionsIndex(pages)...)
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return found
}

func parseDecision(file, text string) (number int, p page, wrong []string) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > maxDecisionLines {
		wrong = append(wrong, fmt.Sprintf("%d lines, more than one page of %d", len(lines), maxDecisionLines))
	}
	name, title := decisionFile.FindStringSubmatch(file), decisionTitle.FindStringSubmatch(lines[0])
	if name == nil || title == nil || name[1] != fmt.Sprintf("%04s", title[1]) {
		return 0, p, append(wrong, "the file is not called 0000-title.md, or its first line is not `# 0. Title` with the same number")
	}
	number, _ = strconv.Atoi(title[1])
	p.title = title[2]
	if len(lines) < 3 || !statusLine.MatchString(lines[2]) {
		wrong = append(wrong, "the third line is not `**Status:** accepted` or `**Status:** superseded by [ADR 7](0007-file.md)`")
	} else if by := statusLine.FindStringSubmatch(lines[2]); by[2] != "" {
		p.supersededBy, _ = strconv.Atoi(by[2])
	}
	if m := supersedes.FindStringSubmatch(text); m != nil {
		for _, older := range decision.FindAllStringSubmatch(m[1], -1) {
			n, _ := strconv.Atoi(older[1])
			p.supersedes = append(p.supersedes, n)
		}
	}
	var headings []string
	for _, line := range lines {
		if strings.HasPrefix(line, "## ") {
			headings = append(headings, line[3:])
		}
	}
	if !slices.Equal(headings, []string{"Context", "Decision", "Consequences"}) {
		wrong = append(wrong, fmt.Sprintf("its headings are %q, not Context, Decision, Consequences", headings))
	}
	return number, p, wrong
}

// supersession checks that superseded and superseding decisions name each other.
func supersession(n int, pages map[int]page) []Finding {
	where := func(n int) string { return fmt.Sprintf("%s/%04d", decisionsDir, n) }
	var found []Finding
	if by := pages[n].supersededBy; by != 0 && !slices.Contains(pages[by].supersedes, n) {
		found = append(found, Finding{where(by), fmt.Sprintf("does not say that it supersedes ADR %d", n), decisionsFormHint})
	}
	for _, older := range pages[n].supersedes {
		if pages[older].supersededBy != n {
			found = append(found, Finding{where(older), fmt.Sprintf("does not say that ADR %d supersedes it", n), decisionsFormHint})
		}
	}
	return found
}

func (t *Tree) decisionsIndex(pages map[int]page) []Finding {
	index := t.pages[decisionsDir+"/README.md"]
	var found []Finding
	for n, p := range pages {
		status := "accepted"
		if p.supersededBy != 0 {
			status = fmt.Sprintf("superseded by %d", p.supersededBy)
		}
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d \| \[%s\]\(%04d-[a-z0-9-]+\.md\) \| %s \|$`, n, regexp.QuoteMeta(p.title), n, status))
		if !row.MatchString(index) {
			found = append(found, Finding{decisionsDir + "/README.md", fmt.Sprintf("has no row for ADR %d as it is now", n),
				fmt.Sprintf("| %d | [%s](%04d-….md) | %s |", n, p.title, n, status)})
		}
	}
	return found
}
