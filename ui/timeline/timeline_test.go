package timeline

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"
	"pgregory.net/rapid"

	"quicprochat/ui/theme"
)

// fakeRow is a rectangle of a height that its content asks for.
type fakeRow struct {
	widget.BaseWidget
	height float32
	id     uint64
}

func (r *fakeRow) HeightFor(float32) float32 { return r.height }

func (r *fakeRow) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(canvas.NewRectangle(nil))
}

type item struct {
	id      uint64
	variant uint32
	height  float32
}

type fakeSource struct {
	items []item
	binds int
}

func (s *fakeSource) Len() int { return len(s.items) }

func (s *fakeSource) Key(i int) Key {
	k := Key{Variant: s.items[i].variant}
	binary.BigEndian.PutUint64(k.ID[:], s.items[i].id)
	return k
}

func (s *fakeSource) Kind(i int) int { return int(s.items[i].id % 3) }

func (s *fakeSource) NewRow(int) Row {
	r := &fakeRow{}
	r.ExtendBaseWidget(r)
	return r
}

func (s *fakeSource) Bind(row Row, i int) {
	s.binds++
	r := row.(*fakeRow)
	r.height, r.id = s.items[i].height, s.items[i].id
}

func (s *fakeSource) add(n int, height func(i int) float32) {
	for i := range n {
		s.items = append(s.items, item{id: uint64(len(s.items)), height: height(i)})
	}
}

func newTimeline(t testing.TB, s *fakeSource, size fyne.Size) *Timeline {
	t.Helper()
	app := test.NewTempApp(t)
	app.Settings().SetTheme(theme.New(theme.Light))
	tl := New(s)
	tl.Resize(size)
	return tl
}

// check holds the invariants: rows in order, touching, filling the viewport
// unless all of them fit, and each shown by exactly one widget of its own.
func check(t interface{ Fatalf(string, ...any) }, tl *Timeline, s *fakeSource) {
	if len(s.items) == 0 {
		if len(tl.drawn) != 0 {
			t.Fatalf("%d rows drawn of an empty source", len(tl.drawn))
		}
		return
	}
	if len(tl.drawn) == 0 {
		t.Fatalf("nothing drawn of %d rows", len(s.items))
	}
	y := tl.drawn[0].Position().Y
	for n, o := range tl.drawn {
		row, want := o.(*fakeRow), s.items[tl.laid.first+n]
		if row.id != want.id {
			t.Fatalf("place %d shows row %d, want %d", n, row.id, want.id)
		}
		if math.Abs(float64(row.Position().Y-y)) > 0.5 {
			t.Fatalf("row %d is at %v, the one before ends at %v", want.id, row.Position().Y, y)
		}
		if row.Size().Height != want.height {
			t.Fatalf("row %d is %v high, want %v", want.id, row.Size().Height, want.height)
		}
		y += row.Size().Height
	}
	view, pad := tl.geo.viewport, tl.geo.padding
	top, first, last := tl.drawn[0].Position().Y, tl.laid.first == 0, tl.laid.last == len(s.items)-1
	if top > 0.5 && !first {
		t.Fatalf("a gap of %v above row %d", top, tl.laid.first)
	}
	if y < view-pad-0.5 {
		t.Fatalf("rows end at %v of %v (last: %v)", y, view, last)
	}
	if y < view-0.5 && !last {
		t.Fatalf("a gap below row %d of %d", tl.laid.last, len(s.items))
	}
	if first && last {
		return
	}
	if first && top > pad+0.5 {
		t.Fatalf("a gap of %v above the first row though not all rows fit", top)
	}
}

func TestInvariants(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(theme.New(theme.Light))
	rapid.Check(t, func(t *rapid.T) {
		s, next := &fakeSource{}, uint64(0)
		heights := rapid.Float32Range(8, 400)
		fresh := func(n int) []item {
			out := make([]item, n)
			for i := range out {
				out[i] = item{id: next, height: heights.Draw(t, "height")}
				next++
			}
			return out
		}
		s.items = fresh(rapid.IntRange(0, 60).Draw(t, "rows"))
		tl := New(s)
		tl.Resize(fyne.NewSize(400, rapid.Float32Range(100, 900).Draw(t, "viewport")))
		check(t, tl, s)
		t.Repeat(map[string]func(*rapid.T){
			"scroll": func(t *rapid.T) { tl.ScrollBy(rapid.Float32Range(-2000, 2000).Draw(t, "dy")) },
			"key": func(t *rapid.T) {
				tl.Key(rapid.SampledFrom([]fyne.KeyName{fyne.KeyHome, fyne.KeyEnd, fyne.KeyPageUp, fyne.KeyPageDown}).Draw(t, "key"))
			},
			"drag":   func(t *rapid.T) { tl.dragTo(rapid.Float32Range(0, 1).Draw(t, "progress")) },
			"resize": func(t *rapid.T) { tl.Resize(fyne.NewSize(400, rapid.Float32Range(100, 900).Draw(t, "viewport"))) },
			"insert": func(t *rapid.T) {
				at, n := rapid.IntRange(0, len(s.items)).Draw(t, "at"), rapid.IntRange(1, 30).Draw(t, "n")
				s.items = append(s.items[:at:at], append(fresh(n), s.items[at:]...)...)
				tl.Inserted(at, n)
			},
			"remove": func(t *rapid.T) {
				if len(s.items) == 0 {
					t.Skip("nothing to remove")
				}
				at := rapid.IntRange(0, len(s.items)-1).Draw(t, "at")
				n := rapid.IntRange(1, min(10, len(s.items)-at)).Draw(t, "n")
				s.items = append(s.items[:at:at], s.items[at+n:]...)
				tl.Removed(at, n)
			},
			"change": func(t *rapid.T) {
				if len(s.items) == 0 {
					t.Skip("nothing to change")
				}
				at := rapid.IntRange(0, len(s.items)-1).Draw(t, "at")
				s.items[at].height = heights.Draw(t, "height")
				if rapid.Bool().Draw(t, "variant") {
					s.items[at].variant++
				}
				tl.Changed(at, 1)
			},
			"": func(t *rapid.T) { check(t, tl, s) },
		})
	})
}

// TestOlderRowsDoNotMoveTheView inserts above while the reader looks at the middle.
func TestOlderRowsDoNotMoveTheView(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(theme.New(theme.Light))
	rapid.Check(t, func(t *rapid.T) {
		s := &fakeSource{}
		s.add(80, func(i int) float32 { return float32(20 + i*7%90) })
		tl := New(s)
		tl.Resize(fyne.NewSize(400, 500))
		tl.ScrollBy(rapid.Float32Range(100, 2500).Draw(t, "up"))
		before := map[uint64]float32{}
		for _, o := range tl.drawn {
			before[o.(*fakeRow).id] = o.Position().Y
		}
		n := rapid.IntRange(1, 50).Draw(t, "n")
		older := make([]item, n)
		for i := range older {
			older[i] = item{id: uint64(1000 + i), height: float32(30 + i)}
		}
		s.items = append(older, s.items...)
		tl.Inserted(0, n)
		for _, o := range tl.drawn {
			row := o.(*fakeRow)
			if y, ok := before[row.id]; ok && math.Abs(float64(y-row.Position().Y)) > 0.5 {
				t.Fatalf("row %d moved from %v to %v", row.id, y, row.Position().Y)
			}
		}
	})
}

func TestSticksToTheBottom(t *testing.T) {
	s := &fakeSource{}
	s.add(50, func(int) float32 { return 40 })
	tl := newTimeline(t, s, fyne.NewSize(400, 300))
	s.add(1, func(int) float32 { return 90 })
	tl.Inserted(50, 1)
	if last := tl.drawn[len(tl.drawn)-1].(*fakeRow); last.id != 50 {
		t.Fatalf("the last row shown is %d, want the new one", last.id)
	}
	if !tl.button.Hidden {
		t.Error("the button shows at the bottom")
	}
}

func TestNewRowsWhileReadingAboveAreCounted(t *testing.T) {
	s := &fakeSource{}
	s.add(50, func(int) float32 { return 40 })
	tl := newTimeline(t, s, fyne.NewSize(400, 300))
	var bottom []bool
	tl.OnBottom = func(b bool) { bottom = append(bottom, b) }
	tl.ScrollBy(600)
	first := tl.drawn[0].(*fakeRow).id
	s.add(2, func(int) float32 { return 40 })
	tl.Inserted(50, 2)
	if tl.drawn[0].(*fakeRow).id != first {
		t.Error("the view moved")
	}
	if tl.button.Hidden || tl.button.caption() != "2 new messages" {
		t.Errorf("button hidden %v, caption %q", tl.button.Hidden, tl.button.caption())
	}
	test.Tap(tl.button)
	if !tl.AtBottom() || !tl.button.Hidden || tl.unseen != 0 {
		t.Errorf("after the tap: at bottom %v, hidden %v, unseen %d", tl.AtBottom(), tl.button.Hidden, tl.unseen)
	}
	if fmt.Sprint(bottom) != "[false true]" {
		t.Errorf("OnBottom got %v", bottom)
	}
}

func TestAsksForOlderRowsOnce(t *testing.T) {
	s := &fakeSource{}
	s.add(60, func(int) float32 { return 40 })
	tl := newTimeline(t, s, fyne.NewSize(400, 300))
	asked := 0
	tl.OnNearTop = func() { asked++ }
	tl.ScrollBy(100)
	if asked != 0 {
		t.Fatalf("asked %d times far from the top", asked)
	}
	tl.ScrollToTop()
	tl.ScrollBy(-10)
	tl.ScrollBy(10)
	if asked != 1 {
		t.Fatalf("asked %d times, want once", asked)
	}
	s.items = append([]item{{id: 900, height: 40}}, s.items...)
	tl.Inserted(0, 1)
	if asked != 2 {
		t.Fatalf("asked %d times after more came, want twice", asked)
	}
}

// TestCostDoesNotGrowWithLength counts what a step touches among 100,000 rows.
func TestCostDoesNotGrowWithLength(t *testing.T) {
	s := &fakeSource{}
	s.add(100_000, func(i int) float32 { return float32(30 + i*13%120) })
	tl := newTimeline(t, s, fyne.NewSize(400, 800))
	steps := map[string]func(){
		"wheel up":   func() { tl.ScrollBy(75) },
		"wheel down": func() { tl.ScrollBy(-75) },
		"page up":    func() { tl.Key(fyne.KeyPageUp) },
		"home":       func() { tl.Key(fyne.KeyHome) },
		"end":        func() { tl.Key(fyne.KeyEnd) },
		"middle":     func() { tl.dragTo(0.5) },
		"append": func() {
			s.add(1, func(int) float32 { return 50 })
			tl.Inserted(len(s.items)-1, 1)
		},
	}
	for name, step := range steps {
		measured, binds := tl.measured, s.binds
		step()
		if n := tl.measured - measured; n > 60 {
			t.Errorf("%s measured %d rows", name, n)
		}
		if n := s.binds - binds; n > 60 {
			t.Errorf("%s bound %d rows", name, n)
		}
	}
	for range 2000 {
		tl.ScrollBy(75)
	}
	// A viewport of 800 holds at most 27 rows of 30; each kind has its own pool.
	if tl.created > 120 {
		t.Errorf("%d widgets made in all, want them reused", tl.created)
	}
}

func BenchmarkScrollStep(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := &fakeSource{}
			s.add(n, func(i int) float32 { return float32(30 + i*13%120) })
			tl := newTimeline(b, s, fyne.NewSize(400, 800))
			tl.dragTo(0.5)
			up := true
			for i := 0; b.Loop(); i++ {
				if i%100 == 99 {
					up = !up
				}
				if up {
					tl.ScrollBy(75)
				} else {
					tl.ScrollBy(-75)
				}
			}
		})
	}
}
