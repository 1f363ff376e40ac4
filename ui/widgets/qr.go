package widgets

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
	qrcode "github.com/skip2/go-qrcode"

	"quicprochat/ui/theme"
)

// QR shows a text as a QR code, dark on light in both palettes since many
// scanners want it so.
type QR struct {
	widget.BaseWidget
	side   float32
	ground *canvas.Rectangle
	image  *canvas.Image
}

// NewQR makes a code of that side length. A text too long for a code shows an
// empty field.
func NewQR(text string, side float32) *QR {
	q := &QR{side: side, ground: canvas.NewRectangle(nil)}
	q.image = canvas.NewImageFromImage(qrImage(text))
	q.image.ScaleMode = canvas.ImageScalePixels
	q.image.FillMode = canvas.ImageFillContain
	q.ExtendBaseWidget(q)
	return q
}

// SetText changes the text.
func (q *QR) SetText(text string) {
	q.image.Image = qrImage(text)
	q.image.Refresh()
}

// qrImage draws a code with whole pixels per module, at least 4, without a
// border: the widget adds the quiet zone.
func qrImage(text string) image.Image {
	blank := image.NewGray(image.Rect(0, 0, 1, 1))
	blank.SetGray(0, 0, color.Gray{Y: 0xff})
	if text == "" {
		return blank
	}
	code, err := qrcode.New(text, qrcode.Low)
	if err != nil {
		return blank
	}
	code.DisableBorder = true
	bits := code.Bitmap()
	const module = 8
	img := image.NewGray(image.Rect(0, 0, len(bits)*module, len(bits)*module))
	for y, row := range bits {
		for x, dark := range row {
			shade := color.Gray{Y: 0xff}
			if dark {
				shade = color.Gray{Y: 0x12}
			}
			for i := range module * module {
				img.SetGray(x*module+i%module, y*module+i/module, shade)
			}
		}
	}
	return img
}

// CreateRenderer implements fyne.Widget.
func (q *QR) CreateRenderer() fyne.WidgetRenderer {
	q.ground.FillColor = theme.Current(theme.ColorQRLight, q)
	q.ground.CornerRadius = 12
	return &qrRenderer{q}
}

type qrRenderer struct{ q *QR }

func (r *qrRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.q.side) }

func (r *qrRenderer) Layout(size fyne.Size) {
	side := min(size.Width, size.Height)
	x, y := (size.Width-side)/2, (size.Height-side)/2
	quiet := side * 0.07
	rect{x, y, side, side}.apply(r.q.ground)
	rect{x + quiet, y + quiet, side - 2*quiet, side - 2*quiet}.apply(r.q.image)
}

func (r *qrRenderer) Refresh() { r.q.ground.Refresh(); r.q.image.Refresh() }

func (r *qrRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.q.ground, r.q.image}
}

func (*qrRenderer) Destroy() {}
