package metrics

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
)

func TestSet(t *testing.T) {
	var s Set
	c := s.Counter("calls", "Calls.", "method", "outcome")
	h := s.Histogram("seconds", "Time.", []float64{1, 10})
	s.Value(Gauge, "here", "Now.", func() float64 { return 7 })
	s.Func(Counter, "refused", "No.", "why", func() map[string]float64 { return map[string]float64{"b": 2, "a": 1} })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				c.Add(2, "post", "ok")
				c.Add(-5, "post", "ok") // counters never go back
			}
			for _, v := range []float64{0.5, 1, 1.5, 100} {
				h.Observe(v)
			}
		})
	}
	wg.Wait()
	c.Add(1, "ack", "ok")
	want := []Family{
		{"calls", "Calls.", Counter, []string{"method", "outcome"}, []Sample{{Values: []string{"ack", "ok"}, Value: 1}, {Values: []string{"post", "ok"}, Value: 1600}}},
		{"seconds", "Time.", Histogram, nil, []Sample{{Values: []string{}, Count: 32, Sum: 824, Buckets: map[float64]uint64{1: 16, 10: 24}}}},
		{"here", "Now.", Gauge, nil, []Sample{{Value: 7}}},
		{"refused", "No.", Counter, []string{"why"}, []Sample{{Values: []string{"a"}, Value: 1}, {Values: []string{"b"}, Value: 2}}},
	}
	if got := s.Gather(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// However many values a label gets by mistake, a figure stays small and counts all.
func TestSeriesAreBounded(t *testing.T) {
	var s Set
	c := s.Counter("calls", "Calls.", "method")
	for i := range 3 * maxSeries {
		c.Add(1, fmt.Sprint(i))
	}
	samples, total := s.Gather()[0].Samples, 0.0
	for _, sample := range samples {
		total += sample.Value
	}
	if len(samples) != maxSeries+1 || total != 3*maxSeries {
		t.Errorf("%d series that count %v", len(samples), total)
	}
}

func TestMistakesShowAtTheStart(t *testing.T) {
	for name, mistake := range map[string]func(s *Set){
		"twice":       func(s *Set) { s.Counter("a", ""); s.Counter("a", "") },
		"many labels": func(s *Set) { s.Counter("a", "", "x", "y", "z") },
		"too few":     func(s *Set) { s.Counter("a", "", "x").Add(1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: taken", name)
				}
			}()
			mistake(new(Set))
		}()
	}
}
