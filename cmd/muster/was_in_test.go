package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
)

// membersAt is the members of all segments at an instant.
type membersAt struct {
	at      int64
	members map[string][]string
}

// TestWasInSegment records the members of segments at several instants while messages arrive, a segment is
// replaced, time passes and the node is restarted. Afterwards was in must give the same members for each
// instant, as a list, for one profile, and with why.
func TestWasInSegment(t *testing.T) {
	n := newLiveNode(t)
	start := time.Now()
	for i := range 30 {
		n.send(fmt.Sprintf(`{"type":"identify","userId":"u%d","messageId":"i%d","traits":{"plan":"free","score":%d}}`, i, i, i),
			fmt.Sprintf(`{"type":"track","userId":"u%d","messageId":"f%d","event":"Order","properties":{"amount":1}}`, i, i))
	}
	names := []string{"Buyers", "Pro", "Top"}
	n.query(`create segment "Buyers" as did "Order" in last 1 second`)
	n.query(`create segment "Pro" as plan = "pro"`)
	n.query(`create segment "Top" refresh every 1 second as in top 5 by score`)
	r := rand.New(rand.NewPCG(3, 14))
	var points []membersAt
	for round := range 5 {
		for i := range 15 {
			user := r.IntN(30)
			n.send(fmt.Sprintf(`{"type":"identify","userId":"u%d","messageId":"r%d-%d","traits":{"plan":%q,"score":%d}}`, user, round, i, []string{"pro", "free"}[r.IntN(2)], r.IntN(50)),
				fmt.Sprintf(`{"type":"track","userId":"u%d","messageId":"o%d-%d","event":"Order","properties":{"amount":2}}`, r.IntN(30), round, i))
			points = n.recordMembers(points, names)
		}
		if round == 2 {
			n.query(`create or replace segment "Pro" as plan = "pro" and score > 10`)
		}
		if round%2 == 1 {
			n.stop()
			n.open()
		}
	}
	if len(points) < 5 {
		t.Fatalf("only %d instants were recorded", len(points))
	}
	for _, p := range points {
		at := time.UnixMilli(p.at).UTC().Format("2006-01-02T15:04:05.000Z")
		for _, name := range names {
			text := fmt.Sprintf("was in segment %q at %s", name, at)
			if got := n.query("list where " + text); !slices.Equal(got, p.members[name]) {
				t.Errorf("%s: %v, want %v", text, got, p.members[name])
			}
			was := slices.Contains(p.members[name], "u7")
			why, err := n.api.Query(t.Context(), api.QueryRequest{Query: `why profile "u7" where ` + text})
			if err != nil || len(why.Rows) != 1 || why.Rows[0][1] != was {
				t.Errorf("why %s: %v, %v, want %v", text, why, err, was)
			}
			if got := n.query(fmt.Sprintf(`count where user_id = "u7" and not %s`, text)); (got[0] == "0") != was {
				t.Errorf("not %s: count %v, but it was in: %v", text, got, was)
			}
		}
	}
	early := start.Add(-time.Hour).UTC().Format(time.RFC3339)
	for text, want := range map[string]string{
		`count where was in segment "Pro" at ` + early:                                   "did not exist yet",
		`count where was in segment "Pro" at 2100-01-01`:                                 "future",
		`create segment "Past" as was in segment "Pro" at 2026-01-01`:                    "did not exist yet",
		`explain count where was in segment "Nobody" at 2026-01-01 and in segment "Top"`: "no segment",
	} {
		if _, err := n.api.Query(t.Context(), api.QueryRequest{Query: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestWasInFollowsMerges checks that anonymous profiles that were in a segment are found as the users into which
// they were merged later, even if they had left the segment before the merge.
func TestWasInFollowsMerges(t *testing.T) {
	n := newLiveNode(t)
	n.send(`{"type":"identify","userId":"u0","messageId":"first","traits":{"plan":"free"}}`)
	n.query(`create segment "Pro" as plan = "pro"`)
	for i := range 8 {
		n.send(fmt.Sprintf(`{"type":"identify","anonymousId":"a%d","messageId":"a%d","traits":{"plan":"pro"}}`, i, i))
	}
	at := time.Now()
	await(t, "the next millisecond", func() bool { return time.Now().UnixMilli() > at.UnixMilli() })
	for i := range 4 { // these leave before the merge
		n.send(fmt.Sprintf(`{"type":"identify","anonymousId":"a%d","messageId":"b%d","traits":{"plan":"free"}}`, i, i))
	}
	for i := range 6 {
		n.send(fmt.Sprintf(`{"type":"identify","userId":"u%d","anonymousId":"a%d","messageId":"u%d","traits":{"plan":"free"}}`, i+1, i, i))
	}
	await(t, "all merges", func() bool { return n.query("count")[0] == "9" })
	want := []string{"a6", "a7", "u1", "u2", "u3", "u4", "u5", "u6"}
	text := `list where was in segment "Pro" at ` + at.UTC().Format("2006-01-02T15:04:05.000Z")
	if got := n.query(text); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	n.stop()
	n.open()
	if got := n.query(text); !slices.Equal(got, want) {
		t.Errorf("after a restart: %v, want %v", got, want)
	}
}

// TestSavedWasIn checks segments whose predicate refers to the past members of another segment: these members
// are kept.
func TestSavedWasIn(t *testing.T) {
	n := newLiveNode(t)
	n.send(`{"type":"identify","userId":"u1","messageId":"1","traits":{"plan":"pro","age":30}}`,
		`{"type":"identify","userId":"u2","messageId":"2","traits":{"plan":"pro","age":40}}`,
		`{"type":"identify","userId":"u3","messageId":"3","traits":{"plan":"free","age":50}}`)
	n.query(`create segment "Pro" as plan = "pro"`)
	at := time.Now().UTC()
	await(t, "the next millisecond", func() bool { return time.Now().UnixMilli() > at.UnixMilli() })
	n.send(`{"type":"identify","userId":"u1","messageId":"4","traits":{"plan":"free"}}`,
		`{"type":"identify","userId":"u3","messageId":"5","traits":{"plan":"pro"}}`)
	question := `was in segment "Pro" at ` + at.Format("2006-01-02T15:04:05.000Z")
	n.query(`create segment "Lost" as ` + question + ` and not in segment "Pro"`)
	n.query(`create segment "Old" as ` + question + ` and age > 30`)
	check := func(when string, lost, old []string) {
		t.Helper()
		await(t, when, func() bool { return slices.Equal(n.members("Lost"), lost) && slices.Equal(n.members("Old"), old) })
		for name, want := range map[string][]string{"Lost": lost, "Old": old} {
			if got := n.query(fmt.Sprintf("list where in segment %q", name)); !slices.Equal(got, want) {
				t.Errorf("%s: %s has %v, want %v", when, name, got, want)
			}
		}
	}
	check("at first", []string{"u1"}, []string{"u2"})
	n.send(`{"type":"identify","userId":"u2","messageId":"6","traits":{"plan":"free"}}`, `{"type":"identify","userId":"u1","messageId":"7","traits":{"age":31}}`)
	check("later", []string{"u1", "u2"}, []string{"u1", "u2"})
	n.stop()
	n.open()
	check("after a restart", []string{"u1", "u2"}, []string{"u1", "u2"})
	if got, err := n.api.Query(t.Context(), api.QueryRequest{Query: "show segments"}); err != nil || !strings.Contains(fmt.Sprint(got.Rows), question[:20]) {
		t.Errorf("show segments: %v, %v, want the predicate with was in", got, err)
	}
	kept := `was in segment "Pro" at ` + at.Format("2006-01-02T15:04:05.999Z07:00")
	if found, err := n.api.Lists(t.Context()); err != nil || len(found.Lists) > 0 {
		t.Errorf("the kept members are among the lists: %+v, %v", found, err)
	}
	for _, text := range []string{"count where in list %q", "create segment \"X\" as in list %q"} {
		if _, err := n.api.Query(t.Context(), api.QueryRequest{Query: fmt.Sprintf(text, kept)}); err == nil || !strings.Contains(err.Error(), "there is no list") {
			t.Errorf("%s: %v", text, err)
		}
	}
	n.query(`create or replace segment "Lost" as ` + question)
	n.query(`drop segment "Lost"`)
	n.query(`create or replace segment "Old" as age > 30`)
}

// recordMembers appends the current members of the segments to points, unless they changed while they were read.
func (n *liveNode) recordMembers(points []membersAt, names []string) []membersAt {
	p := membersAt{members: map[string][]string{}}
	for _, name := range names {
		p.members[name] = n.members(name)
	}
	p.at = time.Now().UnixMilli()
	await(n.t, "the next millisecond", func() bool { return time.Now().UnixMilli() > p.at })
	for _, name := range names {
		if again := n.members(name); !slices.Equal(again, p.members[name]) {
			return points
		}
	}
	return append(points, p)
}
