package timeline

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// nearTop is how many rows may remain above the viewport before older ones are
// asked for.
const nearTop = 12

// Timeline is the list. Make one with [New].
type Timeline struct {
	widget.BaseWidget

	// OnNearTop is called when few rows remain above, once for every change of
	// the number of rows, so a source that has no more simply adds none.
	OnNearTop func()
	// OnBottom is called when the viewport reaches or leaves the bottom.
	OnBottom func(atBottom bool)
	// OnTapped is called for a tap beside the rows.
	OnTapped func()

	source Source
	geo    geometry
	width  float32
	text   float32 // the text size that heights were measured at

	heights map[Key]float32
	live    map[Key]*liveRow
	pool    map[int][]Row
	laid    span
	drawn   []fyne.CanvasObject
	asked   int // number of rows when OnNearTop was last called
	bottom  bool
	unseen  int

	body   *body
	clip   *container.Clip
	bar    *scrollbar
	button *jumpButton

	created, measured int // counted for the tests
}

type liveRow struct {
	row   Row
	kind  int
	dirty bool
}

// New makes a timeline of a source, at its bottom.
func New(s Source) *Timeline {
	t := &Timeline{source: s, heights: map[Key]float32{}, live: map[Key]*liveRow{}, pool: map[int][]Row{}, asked: -1, bottom: true}
	t.geo = geometry{stick: true, padding: 12, height: t.heightOf, count: s.Len()}
	t.body = &body{timeline: t}
	t.body.ExtendBaseWidget(t.body)
	t.clip = container.NewClip(t.body)
	t.bar = newScrollbar(t.dragTo)
	t.button = newJumpButton(t.ScrollToBottom)
	t.button.Hide()
	t.ExtendBaseWidget(t)
	return t
}

// SetSource shows the rows of another source. Widgets are kept for reuse.
func (t *Timeline) SetSource(s Source) {
	for key := range t.live {
		t.recycle(key)
	}
	t.source = s
	t.Reset()
}

// Reset forgets all rows and widgets and shows the newest row.
func (t *Timeline) Reset() {
	clear(t.heights)
	for key := range t.live {
		t.recycle(key)
	}
	t.geo.count, t.geo.stick, t.asked, t.unseen = t.source.Len(), true, -1, 0
	t.relayout()
}

// Inserted tells that n rows were put in before row at.
func (t *Timeline) Inserted(at, n int) {
	atEnd := at == t.geo.count
	t.geo.inserted(at, n)
	if atEnd && !t.geo.stick {
		t.unseen += n
	}
	t.relayout()
}

// Removed tells that n rows from at on are gone. Their widgets are reused.
func (t *Timeline) Removed(at, n int) {
	t.geo.removed(at, n)
	t.relayout()
}

// Changed tells that n rows from at on look different now.
func (t *Timeline) Changed(at, n int) {
	for i := at; i < at+n; i++ {
		key := t.source.Key(i)
		delete(t.heights, key)
		if l := t.live[key]; l != nil {
			l.dirty = true
		}
	}
	t.relayout()
}

// AtBottom says whether the newest row shows.
func (t *Timeline) AtBottom() bool { return t.geo.stick }

// ScrollToBottom shows the newest row and stays with it.
func (t *Timeline) ScrollToBottom() {
	t.geo.stick = true
	t.relayout()
}

// ScrollToTop shows the oldest row there is.
func (t *Timeline) ScrollToTop() {
	t.geo.jump(0, t.geo.padding)
	t.relayout()
}

// ScrollBy moves the content down by dy.
func (t *Timeline) ScrollBy(dy float32) {
	t.geo.scroll(dy)
	t.relayout()
}

// ScrollPages moves by screenfuls; positive shows newer rows.
func (t *Timeline) ScrollPages(n float32) { t.ScrollBy(-n * t.geo.viewport * 0.9) }

// Key handles the keys that move the view and says whether k was one.
func (t *Timeline) Key(k fyne.KeyName) bool {
	switch k {
	case fyne.KeyPageUp:
		t.ScrollPages(-1)
	case fyne.KeyPageDown:
		t.ScrollPages(1)
	case fyne.KeyHome:
		t.ScrollToTop()
	case fyne.KeyEnd:
		t.ScrollToBottom()
	case fyne.KeyUp:
		t.ScrollBy(48)
	case fyne.KeyDown:
		t.ScrollBy(-48)
	default:
		return false
	}
	return true
}

// Scrolled implements fyne.Scrollable.
func (t *Timeline) Scrolled(e *fyne.ScrollEvent) { t.ScrollBy(e.Scrolled.DY) }

// Tapped implements fyne.Tappable.
func (t *Timeline) Tapped(*fyne.PointEvent) {
	if t.OnTapped != nil {
		t.OnTapped()
	}
}

// MinSize implements fyne.CanvasObject.
func (t *Timeline) MinSize() fyne.Size { return fyne.NewSize(120, 80) }

// CreateRenderer implements fyne.Widget.
func (t *Timeline) CreateRenderer() fyne.WidgetRenderer {
	return &renderer{t}
}

func (t *Timeline) dragTo(progress float32) {
	row := progress * (1 - t.shown()) * float32(t.geo.count)
	i := min(int(row), t.geo.count-1)
	if i < 0 {
		return
	}
	if progress >= 0.999 {
		t.ScrollToBottom()
		return
	}
	t.geo.jump(i, -(row-float32(i))*t.heightOf(i))
	t.relayout()
}

// heightOf is the height of row i, measured if it is not known. Measuring needs
// a bound widget, which stays live: it is most likely about to be shown.
func (t *Timeline) heightOf(i int) float32 {
	key := t.source.Key(i)
	if h, ok := t.heights[key]; ok {
		return h
	}
	t.measured++
	h := t.rowFor(i, key).HeightFor(t.width)
	t.heights[key] = h
	return h
}

// rowFor is the widget that shows row i, taken from the pool or made anew.
func (t *Timeline) rowFor(i int, key Key) Row {
	kind := t.source.Kind(i)
	l := t.live[key]
	if l != nil && l.kind != kind {
		t.recycle(key)
		l = nil
	}
	if l == nil {
		l = &liveRow{kind: kind, dirty: true, row: t.takeRow(kind)}
		t.live[key] = l
	}
	if l.dirty {
		t.source.Bind(l.row, i)
		l.dirty = false
	}
	return l.row
}

func (t *Timeline) takeRow(kind int) Row {
	if free := t.pool[kind]; len(free) > 0 {
		row := free[len(free)-1]
		t.pool[kind] = free[:len(free)-1]
		return row
	}
	t.created++
	return t.source.NewRow(kind)
}

func (t *Timeline) recycle(key Key) {
	l := t.live[key]
	delete(t.live, key)
	t.pool[l.kind] = append(t.pool[l.kind], l.row)
}

// relayout brings the widgets in line with the position.
func (t *Timeline) relayout() {
	if t.width <= 0 {
		return
	}
	t.laid = t.geo.settle()
	t.place()
	t.recycleHidden()
	t.bar.set(t.geo.progress(), t.shown(), t.geo.count > 0 && !t.allFit())
	t.tellBottom()
	t.button.update(t.unseen, !t.geo.stick)
	t.askForOlder()
	canvas.Refresh(t.bar)
}

// place moves the visible rows to where they belong.
func (t *Timeline) place() {
	t.drawn = t.drawn[:0]
	y := t.laid.top
	for i := t.laid.first; i <= t.laid.last; i++ {
		key := t.source.Key(i)
		row, h := t.rowFor(i, key), t.heightOf(i)
		row.Resize(fyne.NewSize(t.width, h))
		row.Move(fyne.NewPos(0, y))
		t.drawn = append(t.drawn, row)
		y += h
	}
}

// recycleHidden returns the widgets of rows that do not show to the pool.
func (t *Timeline) recycleHidden() {
	if len(t.live) == len(t.drawn) {
		return
	}
	visible := make(map[Key]bool, len(t.drawn))
	for i := t.laid.first; i <= t.laid.last; i++ {
		visible[t.source.Key(i)] = true
	}
	for key := range t.live {
		if !visible[key] {
			t.recycle(key)
		}
	}
}

// shown is the part of the rows that the viewport shows.
func (t *Timeline) shown() float32 {
	if t.geo.count == 0 {
		return 1
	}
	return float32(len(t.drawn)) / float32(t.geo.count)
}

func (t *Timeline) allFit() bool {
	if t.laid.first != 0 || t.laid.last != t.geo.count-1 || t.geo.offset < t.geo.padding-1 {
		return false
	}
	return t.geo.atBottom()
}

func (t *Timeline) tellBottom() {
	if t.geo.stick {
		t.unseen = 0
	}
	if t.geo.stick == t.bottom {
		return
	}
	t.bottom = t.geo.stick
	if t.OnBottom != nil {
		t.OnBottom(t.bottom)
	}
}

func (t *Timeline) askForOlder() {
	if t.OnNearTop == nil || t.laid.first >= nearTop || t.asked == t.geo.count || t.geo.count == 0 {
		return
	}
	t.asked = t.geo.count
	t.OnNearTop()
}

// resize takes a new size; heights depend on the width and the size of text.
func (t *Timeline) resize(size fyne.Size) {
	text := t.Theme().Size(fynetheme.SizeNameText)
	if size.Width != t.width || text != t.text {
		t.width, t.text = size.Width, text
		clear(t.heights)
	}
	t.geo.viewport = size.Height
	t.relayout()
}

// renderer stacks the clipped rows, the scrollbar and the button.
type renderer struct{ t *Timeline }

func (r *renderer) Layout(size fyne.Size) {
	r.t.clip.Resize(size)
	r.t.body.Resize(size)
	r.t.bar.Resize(fyne.NewSize(barHit, size.Height))
	r.t.bar.Move(fyne.NewPos(size.Width-barHit, 0))
	r.t.resize(size)
	r.t.button.place(size)
}

func (r *renderer) MinSize() fyne.Size { return r.t.MinSize() }

func (r *renderer) Refresh() {
	for _, l := range r.t.live {
		l.row.Refresh()
	}
	for _, free := range r.t.pool { // a theme change must reach them too
		for _, row := range free {
			row.Refresh()
		}
	}
	clear(r.t.heights)
	r.t.resize(r.t.Size())
	r.t.bar.Refresh()
	r.t.button.Refresh()
}

func (r *renderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.t.clip, r.t.bar, r.t.button}
}

func (*renderer) Destroy() {}

// body holds the rows. It has no layout: the timeline moves them itself.
type body struct {
	widget.BaseWidget
	timeline *Timeline
}

func (b *body) CreateRenderer() fyne.WidgetRenderer { return &bodyRenderer{b} }

type bodyRenderer struct{ b *body }

func (*bodyRenderer) Layout(fyne.Size) {}

func (*bodyRenderer) MinSize() fyne.Size { return fyne.NewSize(1, 1) }

func (*bodyRenderer) Refresh() {}

func (r *bodyRenderer) Objects() []fyne.CanvasObject { return r.b.timeline.drawn }

func (*bodyRenderer) Destroy() {}

var (
	_ fyne.Scrollable   = (*Timeline)(nil)
	_ fyne.Tappable     = (*Timeline)(nil)
	_ desktop.Hoverable = (*scrollbar)(nil)
	_ fyne.Draggable    = (*scrollbar)(nil)
)
