from .adapter_neck import AdapterNeck
