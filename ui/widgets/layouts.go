package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
)

// column stacks objects with a gap of its own.
type column struct{ gap float32 }

// Column stacks objects from the top, each as wide as the column.
func Column(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(column{gap}, objects...)
}

func (c column) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		if size.Height > 0 {
			size.Height += c.gap
		}
		m := o.MinSize()
		size.Width = max(size.Width, m.Width)
		size.Height += m.Height
	}
	return size
}

func (c column) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	y := float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := heightAt(o, size.Width)
		rect{0, y, size.Width, h}.apply(o)
		y += h + c.gap
	}
}

// heightAt is the height that o wants at a width: text that wraps knows only
// after it was given the width.
func heightAt(o fyne.CanvasObject, width float32) float32 {
	o.Resize(fyne.NewSize(width, o.Size().Height))
	return o.MinSize().Height
}

// row puts objects beside each other, in the middle of its height.
type row struct {
	gap     float32
	stretch int // index of the object that takes what is left; -1 for none
}

// Row puts objects beside each other with a gap.
func Row(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(row{gap, -1}, objects...)
}

// StretchRow is Row where the object of that index takes the room that is left.
func StretchRow(gap float32, stretch int, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(row{gap, stretch}, objects...)
}

func (r row) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		if size.Width > 0 {
			size.Width += r.gap
		}
		m := o.MinSize()
		size.Height = max(size.Height, m.Height)
		size.Width += m.Width
	}
	return size
}

func (r row) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	spare, x := size.Width-r.MinSize(objects).Width, float32(0)
	for i, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		if i == r.stretch {
			m.Width += max(spare, 0)
			m.Height = heightAt(o, m.Width)
		}
		rect{x, (size.Height - m.Height) / 2, m.Width, m.Height}.apply(o)
		x += m.Width + r.gap
	}
}

// inset keeps room around one object.
type inset struct{ top, right, bottom, left float32 }

// Inset keeps room around an object: above and below, and at the sides.
func Inset(vertical, horizontal float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(inset{vertical, horizontal, vertical, horizontal}, o)
}

func (i inset) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return objects[0].MinSize().AddWidthHeight(i.left+i.right, i.top+i.bottom)
}

func (i inset) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	rect{i.left, i.top, size.Width - i.left - i.right, size.Height - i.top - i.bottom}.apply(objects[0])
}

// fixed gives one object a width, centred, and the height that it needs.
type fixed struct{ width float32 }

// CenterColumn centres an object of that width in the middle of what there is.
func CenterColumn(width float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(fixed{width}, o)
}

func (f fixed) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(min(f.width, 260), objects[0].MinSize().Height)
}

func (f fixed) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	w := min(f.width, size.Width)
	h := heightAt(objects[0], w)
	rect{(size.Width - w) / 2, max((size.Height-h)/2, 0), w, h}.apply(objects[0])
}

// flow fills lines from the left and begins a new one where the width ends.
type flow struct {
	gap   float32
	width float32
}

// Flow puts objects beside each other and wraps them.
func Flow(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&flow{gap: gap}, objects...)
}

func (f *flow) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(0, f.arrange(objects, f.width, func(fyne.CanvasObject, rect) {}))
}

func (f *flow) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	f.width = size.Width
	f.arrange(objects, size.Width, func(o fyne.CanvasObject, r rect) { r.apply(o) })
}

func (f *flow) arrange(objects []fyne.CanvasObject, width float32, put func(fyne.CanvasObject, rect)) float32 {
	var x, y, line float32
	for _, o := range objects {
		m := o.MinSize()
		if width > 0 {
			m.Width = min(m.Width, width)
		}
		if x > 0 && width > 0 && x+m.Width > width {
			x, y = 0, y+line+f.gap
			line = 0
		}
		put(o, rect{x, y, m.Width, m.Height})
		x += m.Width + f.gap
		line = max(line, m.Height)
	}
	return y + line
}

// Gap takes up that height.
func Gap(height float32) fyne.CanvasObject {
	g := canvas.NewRectangle(color.Transparent)
	g.SetMinSize(fyne.NewSize(1, height))
	return g
}
