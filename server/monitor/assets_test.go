package monitor

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"quicprochat/server/metrics"
)

// figures are the names and labels of all that can be asked for.
type figures map[string][]string

// allFigures are those of a running server, the program's own included.
func allFigures(t *testing.T) figures {
	t.Helper()
	s := running(t)
	known := figures{"up": {"job", "instance"}}
	add := func(name string, labels []string, histogram bool) {
		labels = append(slices.Clone(labels), "job", "instance")
		if !histogram {
			known[name] = labels
			return
		}
		known[name+"_bucket"], known[name+"_sum"], known[name+"_count"] = append(labels, "le"), labels, labels
	}
	for _, f := range s.Metrics() {
		add(f.Name, f.Labels, f.Kind == metrics.Histogram)
	}
	families, err := registry(s).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "qpc_") {
			add(f.GetName(), nil, f.GetType().String() == "HISTOGRAM")
		}
	}
	return known
}

var (
	names    = regexp.MustCompile(`\b(?:qpc|go|process)_[a-z_]+\b|\bup\b`)
	selector = regexp.MustCompile(`((?:qpc|go|process)_[a-z_]+|up)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`^([a-z_]+)(=|!=|=~|!~)"([^"]*)"$`)
	grouping = regexp.MustCompile(`\bby \(([a-z_, ]*)\)`)
	words    = regexp.MustCompile(`[a-z_]{2,}`)
	quoted   = regexp.MustCompile(`"[^"]*"`)
)

// functions are the words of the query language that the files use.
var functions = []string{
	"sum", "min", "count", "by", "rate", "increase", "changes", "time", "predict_linear", "histogram_quantile", "and", "instance", "le",
}

// check looks an expression over as far as that is possible without Prometheus.
func (known figures) check(t *testing.T, where, expr string) {
	t.Helper()
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(expr, pair[:1]) != strings.Count(expr, pair[1:]) {
			t.Errorf("%s: %s are not balanced in %s", where, pair, expr)
		}
	}
	used := names.FindAllString(expr, -1)
	if len(used) == 0 {
		t.Errorf("%s: no figure in %s", where, expr)
	}
	var labels []string
	for _, name := range used {
		if known[name] == nil {
			t.Errorf("%s: there is no figure %s", where, name)
		}
		labels = append(labels, known[name]...)
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for m := range strings.SplitSeq(s[2], ",") {
			parts := matcher.FindStringSubmatch(m)
			if parts == nil || !slices.Contains(known[s[1]], parts[1]) {
				t.Errorf("%s: %s{%s}: %s has no such label", where, s[1], s[2], m)
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(labels, label) {
				t.Errorf("%s: nothing has the label %q", where, label)
			}
		}
	}
	rest := regexp.MustCompile(`\$__rate_interval|\$instance`).ReplaceAllString(quoted.ReplaceAllString(expr, ""), "")
	for _, word := range words.FindAllString(names.ReplaceAllString(rest, ""), -1) {
		if !slices.Contains(functions, word) && !slices.Contains(labels, word) {
			t.Errorf("%s: %q is neither function nor label in %s", where, word, expr)
		}
	}
}

func TestAlerts(t *testing.T) {
	raw, err := os.ReadFile("../../assets/monitoring/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr         string
				For                 string
				Labels, Annotations map[string]string
			}
		}
	}
	in := yaml.NewDecoder(bytes.NewReader(raw))
	in.KnownFields(true)
	if err := in.Decode(&file); err != nil {
		t.Fatal(err)
	}
	known := allFigures(t)
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			known.check(t, r.Alert, r.Expr)
			if seen[r.Alert] || !regexp.MustCompile(`^Qpc[A-Za-z]+$`).MatchString(r.Alert) {
				t.Errorf("%s: a bad name, or there twice", r.Alert)
			}
			seen[r.Alert] = true
			if r.For != "" {
				if _, err := time.ParseDuration(r.For); err != nil {
					t.Errorf("%s: %v", r.Alert, err)
				}
			}
			if !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("%s: says not how bad it is, what it is, and what to do", r.Alert)
			}
			for _, label := range regexp.MustCompile(`\$labels\.([a-z_]+)`).FindAllStringSubmatch(r.Annotations["summary"], -1) {
				if !strings.Contains(r.Expr, label[1]) {
					t.Errorf("%s: the expression keeps no label %s", r.Alert, label[1])
				}
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d alerts", len(seen))
	}
}

func TestDashboard(t *testing.T) {
	raw, err := os.ReadFile("../../assets/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Title, UID    string
		SchemaVersion int
		Panels        []struct {
			ID          int
			Type, Title string
			GridPos     struct{ H, W, X, Y int }
			Targets     []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil || file.Title == "" || file.UID == "" || file.SchemaVersion == 0 {
		t.Fatalf("%+v %v", file, err)
	}
	known := allFigures(t)
	ids := map[int]bool{}
	shown := ""
	for _, p := range file.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H < 1 {
			t.Errorf("%s: id or place", p.Title)
		}
		ids[p.ID] = true
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%s: %d targets", p.Title, len(p.Targets))
		}
		for _, target := range p.Targets {
			known.check(t, p.Title, target.Expr)
			shown += target.Expr + "\n"
		}
	}
	for name := range known {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "qpc_") && !strings.Contains(shown, base) {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// The check of expressions finds mistakes.
func TestCheckFindsMistakes(t *testing.T) {
	known := figures{"qpc_calls_total": {"method", "outcome"}}
	for _, expr := range []string{
		`rate(qpc_calls[5m])`, `sum by (colour) (rate(qpc_calls_total[5m]))`, `rate(qpc_calls_total{colour="red"}[5m])`, `rate(qpc_calls_total[5m]`,
		`ratte(qpc_calls_total[5m])`, `1 > 0`,
	} {
		probe := &testing.T{}
		known.check(probe, "probe", expr)
		if !probe.Failed() {
			t.Errorf("%s was taken", expr)
		}
	}
}
