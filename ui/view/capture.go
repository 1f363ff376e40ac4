package view

import (
	"image"
	"image/draw"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// captureWithin is when a picture is taken even if no frame was due.
const captureWithin = 500 * time.Millisecond

// Capture takes a picture of the window once everything that has been changed
// so far is drawn, and gives it to done on the UI goroutine.
//
// Frames are counted with an animation, which the toolkit ticks once before
// each of them: when the fourth tick comes, three frames have been drawn since.
func (w *Window) Capture(done func(image.Image)) {
	var animation *fyne.Animation
	ticks, finished := 0, false
	animation = fyne.NewAnimation(captureWithin, func(progress float32) {
		ticks++
		if finished {
			return
		}
		if ticks < 4 && progress < 1 {
			canvas.Refresh(w.win.Content()) // the next frame is drawn only if something changed
			return
		}
		finished = true
		animation.Stop()
		done(capture(w.win))
	})
	animation.Start()
}

// capture reads what the window shows. The toolkit reads the front buffer,
// which software OpenGL leaves black; there, the back buffer still has the
// frame.
func capture(win fyne.Window) image.Image {
	img := opaque(win.Canvas().Capture())
	if !blank(img) {
		return img
	}
	if back := readBackBuffer(win, img.Bounds().Size()); back != nil {
		return opaque(back)
	}
	return img
}

// opaque copies an image without its alpha, which means nothing in a window.
func opaque(src image.Image) *image.RGBA {
	dst := image.NewRGBA(src.Bounds())
	draw.Draw(dst, dst.Bounds(), src, src.Bounds().Min, draw.Src)
	for i := 3; i < len(dst.Pix); i += 4 {
		dst.Pix[i] = 0xff
	}
	return dst
}

// blank says whether every pixel is black.
func blank(img *image.RGBA) bool {
	for i := 0; i < len(img.Pix); i += 4 {
		if img.Pix[i]|img.Pix[i+1]|img.Pix[i+2] != 0 {
			return false
		}
	}
	return true
}
