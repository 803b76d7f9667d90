package main

import (
	"fmt"
	"testing"

	"github.com/musterdb/muster/engine"
)

func anonymous(message, id, event string) engine.Incoming {
	m := track(message, "", event)
	m.AnonymousID = id
	return m
}

func TestNodeJoinsAnonymousProfiles(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	const people = 40
	var before, links []engine.Incoming
	for i := range people {
		before = append(before, anonymous(fmt.Sprint("a", i), fmt.Sprint("anon-", i), "Seen"), track(fmt.Sprint("b", i), fmt.Sprint("user-", i), "Seen"))
		link := identify(fmt.Sprint("l", i), fmt.Sprint("user-", i))
		link.AnonymousID = fmt.Sprint("anon-", i)
		links = append(links, link)
	}
	ingest(t, n, engine.Accepted, before...)
	wantAnswer(t, n, "count", fmt.Sprint(2*people))
	ingest(t, n, engine.Accepted, links...)
	await(t, "every anonymous profile joins its user", func() bool { return queryValue(t, n, "count") == fmt.Sprint(people) })
	wantAnswer(t, n, `stats count of "Seen"`, fmt.Sprint(2*people))

	ingest(t, n, engine.Duplicate, before...) // a late retry still goes through the shard that has the messageId
	ingest(t, n, engine.Accepted, anonymous("late", "anon-3", "Seen"))
	wantAnswer(t, n, "count", fmt.Sprint(people))
	wantAnswer(t, n, `count where did "Seen" exactly 3 times`, "1")

	about, err := n.About(t.Context(), "anon-3")
	if err != nil || about.ID != "user-3" || len(about.AnonymousIDs) != 1 {
		t.Errorf("about anon-3: %+v, %v", about, err)
	}
	received, _, err := n.Timeline(t.Context(), "user-3", "", 100)
	if err != nil || len(received) != 4 {
		t.Errorf("timeline of user-3: %d messages, %v; want those of both ids, 4", len(received), err)
	}
}

func TestNodeContinuesMergesAfterRestart(t *testing.T) {
	dir := t.TempDir()
	const people = 300
	n, err := openCluster(t.Context(), testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	var msgs []engine.Incoming
	for i := range people {
		link := identify(fmt.Sprint("l", i), fmt.Sprint("user-", i))
		link.AnonymousID = fmt.Sprint("anon-", i)
		msgs = append(msgs, anonymous(fmt.Sprint("a", i), link.AnonymousID, "Seen"), link)
	}
	ingest(t, n, engine.Accepted, msgs...)
	if err := n.Close(); err != nil { // most merges are unfinished
		t.Fatal(err)
	}
	again := openTest(t, testConfig(dir))
	await(t, "the merges are finished", func() bool { return queryValue(t, again, "count") == fmt.Sprint(people) })
	wantAnswer(t, again, `stats count of "Seen"`, fmt.Sprint(people))
	ingest(t, again, engine.Duplicate, msgs...)
}
