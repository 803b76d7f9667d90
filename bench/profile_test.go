package bench

import (
	"testing"
)

// TestMeasureProfile checks that memberships match evaluation and that every answer is measured.
func TestMeasureProfile(t *testing.T) {
	c := ProfileConfig{Size: Size{Name: "tiny", Users: 3000, Events: 60_000}, Seed: 3, Segments: []int{5, 40}, Asked: 200}
	figures, err := MeasureProfile(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(figures) != 8 {
		t.Errorf("%d figures, want 8: %v", len(figures), figures)
	}
	for _, f := range figures {
		if f.Value <= 0 {
			t.Errorf("%s took %v %s", f.Name, f.Value, f.Unit)
		}
	}
	c = ProfileConfig{Segments: []int{10, 5}, Asked: -1}
	if _, err := MeasureProfile(t.Context(), c); err == nil {
		t.Error("a config with faults was accepted")
	}
}
