package main

import (
	"slices"
	"testing"

	"github.com/musterdb/muster/live"
)

// TestAcknowledgedCursorsAreInTheCatalogGroup: they and the incarnations survive restarts.
func TestAcknowledgedCursorsAreInTheCatalogGroup(t *testing.T) {
	c := testConfig(t.TempDir())
	cursor := ""
	var incarnations []uint64
	for life := range 4 {
		n, heard, err := openNode(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if consumer, ok := heard.Consumers().Get("crm"); life > 0 && (!ok || consumer.Cursor != cursor) {
			t.Errorf("life %d: %v, %v, want the cursor %s", life, consumer, ok, cursor)
		}
		if life == 0 {
			incarnations = n.Incarnations()
		} else if !slices.Equal(n.Incarnations(), incarnations) {
			t.Errorf("life %d: the incarnations are %v, they were %v", life, n.Incarnations(), incarnations)
		}
		ask(t, n, `create or replace segment "VIP" allow unknown as vip`)
		now := heard.Now()
		cursor = now.String()
		if err := heard.Consumers().Ack("crm", "VIP", now, 7); err != nil {
			t.Fatal(err)
		}
		if _, err := heard.Subscribe(t.Context(), live.Request{Segment: "VIP", From: live.FromAcked, Consumer: "crm"}); err != nil {
			t.Errorf("life %d: %v", life, err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
