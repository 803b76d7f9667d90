package main

import (
	"slices"
	"testing"

	"github.com/musterdb/muster/live"
)

// TestAcknowledgedCursorsSurviveRestarts checks acknowledged cursors and the incarnations of shards.
func TestAcknowledgedCursorsSurviveRestarts(t *testing.T) {
	c := testConfig(t.TempDir())
	cursor := ""
	var incarnations []uint64
	for start := range 4 {
		n, changes, err := openNode(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if consumer, ok := changes.Consumers().Get("crm"); start > 0 && (!ok || consumer.Cursor != cursor) {
			t.Errorf("start %d: %v, %v, want the cursor %s", start, consumer, ok, cursor)
		}
		if start == 0 {
			incarnations = n.Incarnations()
		} else if !slices.Equal(n.Incarnations(), incarnations) {
			t.Errorf("start %d: the incarnations are %v, they were %v", start, n.Incarnations(), incarnations)
		}
		queryValue(t, n, `create or replace segment "VIP" allow unknown as vip`)
		now := changes.Now()
		cursor = now.String()
		if err := changes.Consumers().Ack("crm", "VIP", now, 7); err != nil {
			t.Fatal(err)
		}
		if _, err := changes.Subscribe(t.Context(), live.Request{Segment: "VIP", From: live.FromAcked, Consumer: "crm"}); err != nil {
			t.Errorf("start %d: %v", start, err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
