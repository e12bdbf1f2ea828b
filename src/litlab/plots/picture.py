"""Pictures that show themselves in a notebook's cell."""

import base64
import html
from dataclasses import dataclass
from pathlib import Path

from litlab.escape import printable
from litlab.files import read_file

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, repr=False)
class Picture:
    """A PNG image.

    Attributes:
        name: of its file, without .png.
        png: the content of the file.
    """

    name: str
    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"<picture {printable(self.name)}>"


class Pictures(dict[str, Picture]):
    """Pictures by name, shown one below the other."""

    @classmethod
    def of(cls, folder: Path) -> "Pictures":
        """Those in a folder; files that are no images are left out."""
        found = cls()
        for file in sorted(folder.glob("*.png")):
            try:
                content = read_file(file)
            except (OSError, ValueError):
                continue
            if content.startswith(PNG):
                found[file.stem] = Picture(file.stem, content)
        return found

    def _repr_html_(self) -> str:
        images = (f"data:image/png;base64,{base64.b64encode(each.png).decode()}" for each in self.values())
        named = zip(map(html.escape, self), images, strict=True)
        return "".join(f'<figure><img src="{image}" alt="{name}"><br>{name}</figure>' for name, image in named)
