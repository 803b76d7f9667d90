package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/bench/gen"
)

// Audit counts the loaded data in several ways, and compares the counts with each other and with what was sent.
// It runs after every load, and a fault ends the run: figures of wrong answers are worthless.
type Audit struct {
	Profiles int64    // sent and acknowledged; -1: unknown
	Events   int64    // sum over all Names
	Names    []string // of events
	Groups   []string // attributes to group by
	Unique   []string // string attributes whose values are unique to a profile
	Ask      func(ctx context.Context, statement string) (Answer, error)
}

// ShopAudit returns the audit of a shop.
func ShopAudit(profiles, events int, ask func(ctx context.Context, statement string) (Answer, error)) *Audit {
	return &Audit{Profiles: int64(profiles), Events: int64(events), Names: gen.EventNames(), Groups: []string{"country", "plan", "opt_in"}, Unique: []string{"email"}, Ask: ask}
}

// Run does all the counts and returns an error with everything that does not match.
func (a *Audit) Run(ctx context.Context) error {
	x := &auditor{Audit: a, ctx: ctx}
	x.people()
	x.events()
	if len(x.faults) > 0 {
		return fmt.Errorf("the counts of the loaded data do not match, so its figures cannot be trusted: %w", errors.Join(x.faults...))
	}
	return nil
}

// auditor is a running audit.
type auditor struct {
	*Audit
	ctx    context.Context
	faults []error
}

// sum runs a statement and returns the sum of the last column.
func (x *auditor) sum(statement string) (sum int64) {
	rows, err := x.Ask(x.ctx, statement)
	if err != nil {
		x.faults = append(x.faults, fmt.Errorf("%s: %w", statement, err))
		return 0
	}
	for _, row := range rows {
		n, err := strconv.ParseInt(row[len(row)-1], 10, 64)
		if err != nil {
			x.faults = append(x.faults, fmt.Errorf("%s: %w", statement, err))
		}
		sum += n
	}
	return sum
}

// agree compares a sum with its expected value.
func (x *auditor) agree(statement string, want int64, why string) {
	faults := len(x.faults)
	if got := x.sum(statement); got != want && len(x.faults) == faults {
		x.faults = append(x.faults, fmt.Errorf("%s: %d, want %d, %s", statement, got, want, why))
	}
}

func (x *auditor) people() {
	if x.Profiles >= 0 {
		x.agree("count", x.Profiles, "as many as were sent")
	}
	count := x.sum("count")
	x.agree("stats distinct(user_id)", count, "as many as there are profiles")
	for _, group := range x.Groups {
		x.agree(fmt.Sprintf("count by %s limit 1000", group), count, "as many as there are profiles")
	}
	for _, name := range x.Unique {
		x.agree(fmt.Sprintf("stats distinct(%s)", name), x.sum(fmt.Sprintf("count where %s is set", name)), "as many as have one")
	}
}

func (x *auditor) events() {
	count := x.sum("count")
	total := int64(0)
	for _, name := range x.Names {
		rows := x.sum(fmt.Sprintf("stats count of %q", name))
		total += rows
		for _, group := range x.Groups {
			x.agree(fmt.Sprintf("stats count of %q by %s limit 1000", name, group), rows, "as many as there are events")
		}
		did := x.sum(fmt.Sprintf("count where did %q", name))
		x.agree(fmt.Sprintf("count where did not %q", name), count-did, "the profiles that did not")
		x.agree(fmt.Sprintf("count where count of %q >= 1", name), did, "the profiles that did")
	}
	if total != x.Events {
		x.faults = append(x.faults, fmt.Errorf("%d events named %s, want %d, as many as were sent", total, strings.Join(slices.Sorted(slices.Values(x.Names)), ", "), x.Events))
	}
}

// AskHTTP returns the Ask function of an audit over HTTP; suffix is appended to every statement.
func AskHTTP(client *api.Client, suffix string) func(ctx context.Context, statement string) (Answer, error) {
	return func(ctx context.Context, statement string) (Answer, error) {
		answer, err := client.Query(ctx, api.QueryRequest{Query: statement + suffix})
		if err != nil {
			return nil, err
		}
		return cellsOf(answer), nil
	}
}

// cellsOf returns the rows of an answer as text.
func cellsOf(answer *api.Answer) Answer {
	rows := make(Answer, len(answer.Rows))
	for i, row := range answer.Rows {
		for _, cell := range row {
			if cell == nil {
				cell = ""
			}
			rows[i] = append(rows[i], fmt.Sprint(cell))
		}
	}
	return rows
}

// audit compares the shards with the shop that was loaded.
func (m *Muster) audit(ctx context.Context, shop *gen.Shop) error {
	return ShopAudit(shop.Users(), shop.Rows()-shop.Users(), func(ctx context.Context, statement string) (Answer, error) {
		answer, err := m.Query(ctx, statement)
		if err != nil {
			return nil, err
		}
		return textOf(answer), nil
	}).Run(ctx)
}
