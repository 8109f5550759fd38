//! What a picture is drawn on: one type for both formats, because charts are compiled for each type of paper.

use plotters::prelude::{BitMapBackend, SVGBackend};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use std::error::Error;
use std::io;

/// The paper of a format.
pub(super) enum Paper<'a> {
    Svg(SVGBackend<'a>),
    Png(BitMapBackend<'a>),
}

type Drawn<T = ()> = Result<T, DrawingErrorKind<io::Error>>;

/// The pen of any style.
struct Pen {
    color: BackendColor,
    width: u32,
}

impl Pen {
    fn of(style: &impl BackendStyle) -> Self {
        Self { color: style.color(), width: style.stroke_width() }
    }
}

impl BackendStyle for Pen {
    fn color(&self) -> BackendColor {
        self.color
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

impl Paper<'_> {
    fn line(&mut self, from: BackendCoord, to: BackendCoord, pen: &Pen) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.draw_line(from, to, pen)),
            Self::Png(png) => said(png.draw_line(from, to, pen)),
        }
    }

    fn rectangle(&mut self, upper_left: BackendCoord, lower_right: BackendCoord, pen: &Pen, fill: bool) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.draw_rect(upper_left, lower_right, pen, fill)),
            Self::Png(png) => said(png.draw_rect(upper_left, lower_right, pen, fill)),
        }
    }

    fn path(&mut self, path: Vec<BackendCoord>, pen: &Pen) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.draw_path(path, pen)),
            Self::Png(png) => said(png.draw_path(path, pen)),
        }
    }

    fn circle(&mut self, center: BackendCoord, radius: u32, pen: &Pen, fill: bool) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.draw_circle(center, radius, pen, fill)),
            Self::Png(png) => said(png.draw_circle(center, radius, pen, fill)),
        }
    }

    fn polygon(&mut self, corners: Vec<BackendCoord>, pen: &Pen) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.fill_polygon(corners, pen)),
            Self::Png(png) => said(png.fill_polygon(corners, pen)),
        }
    }
}

impl DrawingBackend for Paper<'_> {
    type ErrorType = io::Error;

    fn get_size(&self) -> (u32, u32) {
        match self {
            Self::Svg(svg) => svg.get_size(),
            Self::Png(png) => png.get_size(),
        }
    }

    fn ensure_prepared(&mut self) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.ensure_prepared()),
            Self::Png(png) => said(png.ensure_prepared()),
        }
    }

    fn present(&mut self) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.present()),
            Self::Png(png) => said(png.present()),
        }
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.draw_pixel(point, color)),
            Self::Png(png) => said(png.draw_pixel(point, color)),
        }
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.line(from, to, &Pen::of(style))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        lower_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.rectangle(upper_left, lower_right, &Pen::of(style), fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.path(path.into_iter().collect(), &Pen::of(style))
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        self.circle(center, radius, &Pen::of(style), fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, corners: I, style: &S) -> Drawn {
        self.polygon(corners.into_iter().collect(), &Pen::of(style))
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.draw_text(text, style, at)),
            Self::Png(png) => said(png.draw_text(text, style, at)),
        }
    }

    fn estimate_text_size<S: BackendTextStyle>(&self, text: &str, style: &S) -> Drawn<(u32, u32)> {
        match self {
            Self::Svg(svg) => said(svg.estimate_text_size(text, style)),
            Self::Png(png) => said(png.estimate_text_size(text, style)),
        }
    }

    fn blit_bitmap(&mut self, at: BackendCoord, size: (u32, u32), pixels: &[u8]) -> Drawn {
        match self {
            Self::Svg(svg) => said(svg.blit_bitmap(at, size, pixels)),
            Self::Png(png) => said(png.blit_bitmap(at, size, pixels)),
        }
    }
}

/// What a format says of a drawing, with one type of error.
fn said<T, E: Error + Send + Sync + 'static>(drawn: Result<T, DrawingErrorKind<E>>) -> Drawn<T> {
    drawn.map_err(|error| match error {
        DrawingErrorKind::DrawingError(error) => DrawingErrorKind::DrawingError(io::Error::other(error)),
        DrawingErrorKind::FontError(error) => DrawingErrorKind::FontError(error),
    })
}
