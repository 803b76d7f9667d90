package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// bar is one bar of a group, on a logarithmic axis.
type bar struct {
	value float64
	class string
	label string
}

// barGroup is the bars of one question; mark is the position of a line across them, 0 for none.
type barGroup struct {
	name string
	bars []bar
	mark float64
}

const (
	plotLeft  = 430
	plotWidth = 1060
	barHeight = 13
	groupGap  = 12
)

// barPlot draws groups of horizontal bars. All values must be above 0.
func barPlot(title, unit string, groups []barGroup) string {
	low, high := math.Inf(1), math.Inf(-1)
	height := 40
	for _, g := range groups {
		height += len(g.bars)*barHeight + groupGap
		for _, b := range g.bars {
			low, high = min(low, b.value), max(high, b.value)
		}
		if g.mark > 0 {
			low, high = min(low, g.mark), max(high, g.mark)
		}
	}
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	last = max(last, first+1)
	x := func(v float64) float64 {
		return plotLeft + (math.Log10(v)-first)/(last-first)*(plotWidth-plotLeft-80)
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, height+20, html.EscapeString(title))
	for e := first; e <= last; e++ {
		at := x(math.Pow(10, e))
		fmt.Fprintf(&s, `<line class="grid" x1="%.1f" y1="24" x2="%.1f" y2="%d"/><text class="axis" x="%.1f" y="16">%s %s</text>`,
			at, at, height, at, formatPower(e), unit)
	}
	y := 34
	for _, g := range groups {
		fmt.Fprintf(&s, `<text class="name" x="%d" y="%.1f">%s</text>`, plotLeft-10, float64(y)+float64(len(g.bars)*barHeight)/2+4, html.EscapeString(g.name))
		top := y
		for _, b := range g.bars {
			fmt.Fprintf(&s, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"><title>%s</title></rect><text class="value" x="%.1f" y="%d">%s</text>`,
				b.class, plotLeft, y, max(x(b.value)-plotLeft, 1), barHeight-2, html.EscapeString(b.label), x(b.value)+4, y+barHeight-4, formatNumber(b.value))
			y += barHeight
		}
		if g.mark > 0 {
			fmt.Fprintf(&s, `<line class="mark" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, x(g.mark), top-3, x(g.mark), y+1)
		}
		y += groupGap
	}
	s.WriteString("</svg>")
	return s.String()
}

func formatPower(e float64) string {
	if e < 0 {
		return fmt.Sprintf("%.*f", int(-e), math.Pow(10, e))
	}
	return formatNumber(math.Pow(10, e))
}

// timesPlot shows the median of every subject; the line is the physical limit.
func timesPlot(c *Comparison) string {
	var groups []barGroup
	for _, row := range c.Rows {
		g := barGroup{name: row.Name, mark: row.LimitMillis}
		for i, t := range row.Timings {
			g.bars = append(g.bars, bar{t.Median, fmt.Sprintf("s%d", i), c.Subjects[i].Name})
		}
		groups = append(groups, g)
	}
	return barPlot("Time of each question by subject", "ms", groups)
}

// ratiosPlot shows how many times faster the first subject is than the fastest peer; the line is the goal.
func ratiosPlot(c *Comparison) string {
	var groups []barGroup
	for _, row := range c.Rows {
		groups = append(groups, barGroup{name: row.Name, mark: row.Goal, bars: []bar{{row.Ratio, "s0", "ratio"}}})
	}
	groups = append(groups, barGroup{name: "geometric mean", mark: 100, bars: []bar{{c.GeoMean, "s0", "ratio"}}})
	return barPlot("Ratio to the faster peer", "×", groups)
}
