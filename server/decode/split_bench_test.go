package decode

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkSplit(b *testing.B) {
	var items []string
	for i := range 500 {
		items = append(items, fmt.Sprintf(`{"type":"track","event":"Order Completed","userId":"user-%d","messageId":"m-%d-abcdef","timestamp":"2026-11-01T10:00:00.000Z","originalTimestamp":"2026-11-01T10:00:00.000Z","context":{"library":{"name":"analytics-node","version":"2.1.0"},"ip":"10.0.0.1"},"properties":{"amount":%d.25,"category":"shoes","quantity":2,"coupon":true}}`, i, i, i))
	}
	body := []byte(`{"batch":[` + strings.Join(items, ",") + `],"sentAt":"2026-11-01T10:00:01.000Z"}`)
	d := NewDecoder(Limits{})
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if x, err := d.Split(body); err != nil || len(x.Items) != 500 {
			b.Fatal(err, len(x.Items))
		}
	}
}
