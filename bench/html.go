package bench

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

//go:embed report.html.tmpl
var page string

// HTML returns the report as one page without external resources.
func (r *Report) HTML() ([]byte, error) {
	parsed, err := template.New("report").Funcs(template.FuncMap{
		"bytes": formatBytes,
		"num":   formatNumber,
		"count": func(n int) string { return formatNumber(float64(n)) },
		"join":  func(list []string) string { return strings.Join(list, " ") },
		"gbps":  func(b float64) string { return fmt.Sprintf("%.1f GB/s", b/1e9) },
		"rated": func(ratio, goal float64) string {
			if ratio >= goal {
				return "met"
			}
			return "missed"
		},
	}).Parse(page)
	if err != nil {
		return nil, err
	}
	view := struct {
		*Report
		Times, Ratios template.HTML
	}{Report: r}
	if c := r.Comparison; c != nil {
		view.Times = template.HTML(timesPlot(c))
		if c.GeoMean > 0 {
			view.Ratios = template.HTML(ratiosPlot(c))
		}
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, view); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// formatNumber formats a number with about four digits.
func formatNumber(f float64) string {
	if f == 0 {
		return "0"
	}
	switch {
	case f >= 1000:
		digits := fmt.Sprintf("%.0f", f)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 0.1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.4f", f)
}
